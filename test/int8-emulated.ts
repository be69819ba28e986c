/** What `int8.test.ts` starts on emulated processors: prints whether the processor saturates, then the checked cases. */
import * as ort from "onnxruntime-node";
import { checkInt8Products, saturates } from "./int8-products.js";

const native = { ...ort, provider: "cpu" } as const;
const result = { saturates: await saturates(native), cases: await checkInt8Products(native) };
process.stdout.write(JSON.stringify(result));
