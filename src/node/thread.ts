/**
 * Worker threads that end by themselves. Node aborts the whole process when a thread is terminated while a native
 * addon loads or runs in it, so threads are never terminated here.
 */
import { once } from "node:events";
import { parentPort, Worker } from "node:worker_threads";

/** A running thread. */
export interface Thread<Request> {
  post(request: Request, transfer?: readonly ArrayBuffer[]): void;
  /** Marks the thread as busy: an idle thread does not keep the process alive, a busy one does. */
  busy(isBusy: boolean): void;
  /** Lets the thread finish its requests and end. */
  end(): Promise<void>;
}

/** Receives the messages of a thread, and its failure. */
export interface ThreadListener<Reply> {
  reply(reply: Reply): void;
  /** Called when the thread ended or could not start. */
  fail(error: Error): void;
}

const loaded = "loaded";
const end = "end";

/** How a thread starts. */
export interface ThreadOptions<Reply> extends ThreadListener<Reply> {
  /** Names the thread in messages. */
  readonly name: string;
  /** What its module finds as `workerData`. */
  readonly workerData?: unknown;
}

/** Starts the module at `url`, which calls `serveThread`. */
export function startThread<Request, Reply>(
  url: URL,
  { name, workerData, reply, fail }: ThreadOptions<Reply>,
): Thread<Request> {
  // A script given with --eval has a type of its own, which the files of threads must not inherit; they need no other
  // options. Otherwise threads inherit the options by themselves: Node rejects those of V8 that are repeated here.
  const hasType = process.execArgv.some((option) => option.startsWith("--input-type"));
  const worker = new Worker(url, { workerData, execArgv: hasType ? [] : undefined });
  const exited = once(worker, "exit");
  const holds = { loading: true, busy: false, ending: false };
  const hold = (change: Partial<typeof holds>): void => {
    Object.assign(holds, change);
    if (Object.values(holds).includes(true)) worker.ref();
    else worker.unref();
  };
  worker.on("message", (message: Reply | typeof loaded) => {
    if (message === loaded) hold({ loading: false });
    else reply(message);
  });
  worker.on("error", fail);
  worker.on("exit", (code) => fail(new Error(`${name}: the worker thread ended (code ${code})`)));
  // The listener rejects this promise, too, if the thread fails; `fail` is called.
  exited.catch(() => {});
  return {
    post: (request, transfer = []) => worker.postMessage(request, transfer),
    busy: (isBusy) => hold({ busy: isBusy }),
    end: async () => {
      hold({ ending: true });
      worker.postMessage(end);
      await exited.catch(() => {});
    },
  };
}

/** Answers the requests to this thread with `handle`. Requests under way are finished before the thread ends. */
export function serveThread<Request>(handle: (request: Request) => Promise<void>): void {
  const port = parentPort;
  if (port === null) throw new Error("this module runs in a worker thread");
  const underWay = new Set<Promise<void>>();
  port.on("message", async (message: Request | typeof end) => {
    if (message === end) {
      await Promise.all(underWay);
      port.close();
      return;
    }
    const work = handle(message);
    underWay.add(work);
    await work;
    underWay.delete(work);
  });
  port.postMessage(loaded);
}
