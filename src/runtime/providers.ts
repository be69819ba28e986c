/** Where operators run, and what each place needs. */

/** The providers of runtimes in Node: ONNX Runtime's kernels for processors, and those for graphics cards. */
export const nodeProviders = ["cpu", "webgpu", "cuda", "dml", "coreml"] as const;
/** One of `nodeProviders`. */
export type NodeProvider = (typeof nodeProviders)[number];

/** What may be chosen where a model is opened: a provider, or the fastest one, by measurement. */
export const providerChoices = ["auto", ...nodeProviders] as const;
/** One of `providerChoices`. */
export type ProviderChoice = (typeof providerChoices)[number];

/** Where operators run: one of Node's, or ONNX Runtime's kernels for processors in WebAssembly. */
export type Provider = NodeProvider | "wasm";

/** The name of each provider for graphics cards, and what it needs. */
export const graphicsProviders: Readonly<
  Record<Exclude<NodeProvider, "cpu">, { readonly title: string; readonly needs: string }>
> = {
  webgpu: { title: "WebGPU", needs: "a graphics card with a driver for Vulkan, Direct3D 12 or Metal" },
  cuda: {
    title: "CUDA",
    needs:
      "Linux on x64, an NVIDIA driver, CUDA 12, cuDNN 9 and `npm install onnxruntime-node --onnxruntime-node-install=cuda12`",
  },
  dml: { title: "DirectML", needs: "Windows and a graphics card for DirectX 12" },
  coreml: { title: "Core ML", needs: "macOS" },
};

/** The providers that ONNX Runtime's package for Node has on a platform, beside the processor's. */
export function graphicsProvidersOf(platform: string, arch: string): (keyof typeof graphicsProviders)[] {
  if (platform === "win32") return ["webgpu", "dml"];
  if (platform === "darwin") return ["webgpu", "coreml"];
  if (platform === "linux") return arch === "x64" ? ["webgpu", "cuda"] : ["webgpu"];
  return [];
}
