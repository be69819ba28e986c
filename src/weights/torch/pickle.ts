/**
 * A pickle machine that builds data and nothing else. Python's machine executes any constructor that a file names. This
 * one has an allow-list, each entry a function of this library, and refuses a file that names anything else.
 * Lists and tuples become arrays, dictionaries become Maps, `None` becomes null, bytes stay bytes.
 * Origin: the opcodes as documented in Python's `pickletools`, protocols 0 to 5.
 */
import { CheckpointError } from "../../errors.js";
import { PickleReader } from "./pickle-reader.js";

/** A value that a pickle can hold here. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | PickleSet
  | PickleGlobal
  | PickleObject;

/** A Python set. */
export class PickleSet {
  readonly items: PickleValue[];

  constructor(items: PickleValue[] = []) {
    this.items = items;
  }
}

/** Base class of what allowed constructors return beyond plain data; `kind` names it, e.g. "tensor". */
export class PickleObject {
  readonly kind: string;

  constructor(kind: string) {
    this.kind = kind;
  }
}

/** An allowed name, e.g. `torch.FloatStorage`; `construct` is called in place of its constructor. */
export class PickleGlobal {
  readonly name: string;
  readonly construct: ((args: PickleValue[], machine: PickleMachine) => PickleValue) | undefined;

  constructor(name: string, construct?: (args: PickleValue[], machine: PickleMachine) => PickleValue) {
    this.name = name;
    this.construct = construct;
  }
}

/** What a pickle may refer to, and its file. */
export interface PickleEnvironment {
  /** Names the file in messages. */
  readonly source: string;
  /** The allow-list, by dotted name. */
  readonly globals: ReadonlyMap<string, PickleGlobal>;
  /** Resolves a persistent id (how torch refers to storages). Without it such ids are refused. */
  readonly persistent?: ((id: PickleValue) => PickleValue) | undefined;
  /** Pickles inside pickles: 0 for the outermost. */
  readonly depth?: number | undefined;
}

/** Marks a place on the stack; never a value. */
const mark = Symbol("mark");

/** Runs one pickle from `bytes`, beginning at `position`. */
export class PickleMachine {
  readonly environment: PickleEnvironment;
  /** Its `position` is the byte after the pickle once that has run. */
  readonly reader: PickleReader;
  #stack: (PickleValue | typeof mark)[] = [];
  #memo = new Map<number, PickleValue>();
  #budget: number;

  constructor(bytes: Uint8Array, environment: PickleEnvironment, position = 0) {
    this.environment = environment;
    this.reader = new PickleReader(bytes, environment.source, position);
    this.#budget = 4 * bytes.length + 65536;
  }

  /** The refusal of a malformed or foreign pickle. */
  refuse(
    what: string,
    hint = "The file is damaged, or not a checkpoint of tensors. Nothing in it was executed.",
  ): CheckpointError {
    return new CheckpointError(`${this.environment.source}: ${what}`, { hint });
  }

  /**
   * Charges the work of a constructor that copies or reads `n` elements. A few bytes can pass a memoized value to a
   * constructor many times; the budget keeps the work proportional to the size of the file.
   */
  spend(n: number): void {
    this.#budget -= n;
    if (this.#budget < 0) throw this.refuse("the pickle unfolds to far more than the file holds");
  }

  /** The pickled value. Throws `CheckpointError` for malformed bytes or names outside of the allow-list. */
  run(): PickleValue {
    for (;;) {
      const at = this.reader.position;
      const code = this.reader.u8();
      if (code === 0x2e /* . STOP */) return this.#pop();
      this.#step(code, at);
    }
  }

  /** Pushes the value that `code` makes, or changes the stack, the memo or a container if it makes none. */
  #step(code: number, at: number): void {
    const opcode = String.fromCharCode(code);
    const value = this.#produce(opcode);
    if (value !== undefined) this.#stack.push(value);
    else if (!this.#change(opcode)) {
      throw this.refuse(
        `not a valid pickle: unexpected byte 0x${code.toString(16).padStart(2, "0")} at ${at}`,
      );
    }
  }

  #produce(opcode: string): PickleValue | undefined {
    switch (opcode) {
      // Plain values
      case "N":
        return null;
      case "\x88":
        return true;
      case "\x89":
        return false;
      case "I":
        return this.reader.integerOrBooleanLine();
      case "L":
        return this.reader.longLine();
      case "F":
        return Number(this.reader.line());
      case "J":
        return this.reader.i32();
      case "K":
        return this.reader.u8();
      case "M":
        return this.reader.u16();
      case "G":
        return this.reader.f64();
      case "\x8a":
        return this.reader.long(this.reader.u8());
      case "\x8b":
        return this.reader.long(this.reader.u32());
      // Text and bytes
      case "S":
        return this.reader.line().slice(1, -1);
      case "V":
        return this.reader.escapedLine();
      case "X":
        return this.reader.utf8(this.reader.u32());
      case "\x8c":
        return this.reader.utf8(this.reader.u8());
      case "\x8d":
        return this.reader.utf8(this.reader.u64());
      case "U": // Python 2's str, which torch uses for names
        return this.reader.latin1(this.reader.u8());
      case "T":
        return this.reader.latin1(this.reader.u32());
      case "C":
        return this.reader.take(this.reader.u8());
      case "B":
        return this.reader.take(this.reader.u32());
      case "\x8e":
      case "\x96":
        return this.reader.take(this.reader.u64());
      // Containers
      case "]":
      case ")":
        return [];
      case "l":
      case "t":
        return this.#popToMark();
      case "\x85":
        return this.#popMany(1);
      case "\x86":
        return this.#popMany(2);
      case "\x87":
        return this.#popMany(3);
      case "}":
        return new Map();
      case "d":
        return this.#setItems(new Map(), this.#popToMark());
      case "\x8f":
        return new PickleSet();
      case "\x91":
        return new PickleSet(this.#popToMark());
      // From the stack and the memo
      case "2":
        return this.#top();
      case "g":
        return this.#recall(Number(this.reader.line()));
      case "h":
        return this.#recall(this.reader.u8());
      case "j":
        return this.#recall(this.reader.u32());
      // Names and calls
      case "c":
        return this.#global(this.reader.line(), this.reader.line());
      case "\x93": {
        const [module, name] = this.#popMany(2);
        return this.#global(module, name);
      }
      case "R":
      case "\x81": {
        const [callee, args] = this.#popMany(2);
        return this.#call(callee, args);
      }
      case "\x92": {
        const [callee, args, keywords] = this.#popMany(3);
        if (keywords instanceof Map && keywords.size === 0) return this.#call(callee, args);
        throw this.refuse("not a valid checkpoint: a constructor is called with keywords");
      }
      case "i": {
        const callee = this.#global(this.reader.line(), this.reader.line());
        return this.#call(callee, this.#popToMark());
      }
      case "o": {
        const [callee, ...args] = this.#popToMark();
        return this.#call(callee, args);
      }
      case "P":
        return this.#persistent(this.reader.line());
      case "Q":
        return this.#persistent(this.#pop());
      default:
        return undefined;
    }
  }

  /** Returns whether `opcode` is one of those that push nothing. */
  #change(opcode: string): boolean {
    switch (opcode) {
      case "\x80": // PROTO
        if (this.reader.u8() > 5) throw this.refuse("the pickle's protocol is newer than 5");
        return true;
      case "\x95": // FRAME
        this.reader.skip(8);
        return true;
      case "(":
        this.#stack.push(mark);
        return true;
      case "0":
        this.#stack.pop();
        return true;
      case "1":
        this.#popToMark();
        return true;
      case "a":
        this.#append(this.#popMany(1));
        return true;
      case "e":
      case "\x90":
        this.#append(this.#popToMark());
        return true;
      case "s": {
        const pair = this.#popMany(2);
        this.#setItems(this.#top(), pair);
        return true;
      }
      case "u": {
        const pairs = this.#popToMark();
        this.#setItems(this.#top(), pairs);
        return true;
      }
      case "p":
        this.#memo.set(Number(this.reader.line()), this.#top());
        return true;
      case "q":
        this.#memo.set(this.reader.u8(), this.#top());
        return true;
      case "r":
        this.#memo.set(this.reader.u32(), this.#top());
        return true;
      case "\x94":
        this.#memo.set(this.#memo.size, this.#top());
        return true;
      case "b": // BUILD: attributes (of an OrderedDict, a Namespace, ...) are dropped
        this.#pop();
        return true;
      default:
        return false;
    }
  }

  // --- Names

  #global(module: PickleValue | undefined, name: PickleValue | undefined): PickleGlobal {
    if (typeof module !== "string" || typeof name !== "string") {
      throw this.refuse("not a valid pickle: a constructor's name is not text");
    }
    const dotted = `${module}.${name}`;
    const found = this.environment.globals.get(dotted);
    if (found !== undefined) return found;
    throw new CheckpointError(
      `${this.environment.source}: the pickle names the constructor ${printable(dotted)}, which is not allowed; ` +
        "nothing was executed",
      {
        hint: "If you trust the file, load it with PyTorch, save the model's state_dict(), and use that file.",
      },
    );
  }

  #call(callee: PickleValue | undefined, args: PickleValue | undefined): PickleValue {
    if (!(callee instanceof PickleGlobal) || !Array.isArray(args)) {
      throw this.refuse("not a valid pickle: it calls an object that is not a constructor");
    }
    if (callee.construct === undefined) {
      throw this.refuse(`not a valid checkpoint: ${callee.name} cannot be called`);
    }
    return callee.construct(args, this);
  }

  #persistent(id: PickleValue): PickleValue {
    if (this.environment.persistent === undefined) {
      throw this.refuse("the pickle refers to data outside the file");
    }
    return this.environment.persistent(id);
  }

  // --- Stack

  #pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined || value === mark) throw this.refuse("not a valid pickle: its stack is empty");
    return value;
  }

  #top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined || value === mark) throw this.refuse("not a valid pickle: its stack is empty");
    return value;
  }

  #popMany(count: number): PickleValue[] {
    return Array.from({ length: count }, () => this.#pop()).reverse();
  }

  #popToMark(): PickleValue[] {
    const values: PickleValue[] = [];
    for (;;) {
      const value = this.#stack.pop();
      if (value === undefined) throw this.refuse("not a valid pickle: a mark is missing");
      if (value === mark) return values.reverse();
      values.push(value);
    }
  }

  #append(items: PickleValue[]): void {
    const target = this.#top();
    const list = target instanceof PickleSet ? target.items : target;
    if (!Array.isArray(list))
      throw this.refuse("not a valid pickle: it appends to an object that is not a list");
    for (const item of items) list.push(item);
  }

  #setItems(target: PickleValue, items: PickleValue[]): PickleValue {
    if (!(target instanceof Map) || items.length % 2 !== 0) {
      throw this.refuse("not a valid pickle: it sets items of an object that is not a dictionary");
    }
    let key: PickleValue | undefined;
    for (const item of items) {
      if (key === undefined) key = item;
      else {
        target.set(key, item);
        key = undefined;
      }
    }
    return target;
  }

  #recall(index: number): PickleValue {
    const value = this.#memo.get(index);
    if (value === undefined)
      throw this.refuse(`not a valid pickle: it recalls ${index}, which was never stored`);
    return value;
  }
}

/** A name from an untrusted file, without control characters and cut to 200 characters. */
function printable(name: string): string {
  return JSON.stringify(name.slice(0, 200)).slice(1, -1);
}
