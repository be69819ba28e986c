/**
 * avseg/engine/web: the engine of `avseg/engine` for browsers, with `webRuntime` in place of `nodeRuntime`. The package
 * `onnxruntime-web` must be installed beside it.
 * @module avseg/engine/web
 */
export { type WebRuntimeOptions, webRuntime } from "../../runtime/web/web-runtime.js";
export * from "../index.js";
