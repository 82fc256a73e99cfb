/**
 * Python's pickle machine for what weights are made of, protocols 0 to 5 without what weights never use. Nothing is ever
 * called but the builders of `globals.ts`. Opcodes: CPython's Lib/pickletools.py.
 */
import { setImmediate } from 'node:timers/promises';
import { CheckpointUnsafeError } from '../../errors';
import { globalOf, itemsOf, MalformedPickle, storageOf } from './globals';
import { Dict, describe, Global, Tuple, type Value } from './values';

/** The pickle goes on behind the bytes that are there. */
export class UnexpectedEnd extends Error {}

/** Opcodes between two pauses that let the event loop run: well under a millisecond. */
const PAUSE_EVERY = 2000;
/** Python's own integers in these files have at most 10 bytes, the magic number. */
const MAX_INTEGER_BYTES = 255;

/**
 * The value of the pickle at `begin`, and where it ends.
 * @throws UnexpectedEnd, MalformedPickle; CheckpointUnsafeError for a name that is not of weights.
 */
export async function unpickle(bytes: Buffer, begin = 0): Promise<{ value: Value; end: number }> {
  const machine = new Machine(bytes, begin);
  for (;;) {
    for (let i = 0; i < PAUSE_EVERY; i++) {
      if (machine.step()) return { value: machine.result(), end: machine.at };
    }
    await setImmediate();
  }
}

class Machine {
  at: number;
  readonly #bytes: Buffer;
  #stack: Value[] = [];
  /** Stacks below a mark. */
  readonly #below: Value[][] = [];
  readonly #memo = new Map<number, Value>();

  constructor(bytes: Buffer, begin: number) {
    this.#bytes = bytes;
    this.at = begin;
  }

  result(): Value {
    return this.#pop();
  }

  /** Runs one opcode; true when it was the last. */
  step(): boolean {
    const opcode = String.fromCharCode(this.#unsigned(1));
    const run = opcodes[opcode];
    if (run) run(this);
    else if (opcode !== '.')
      throw new MalformedPickle(`has the pickle opcode 0x${opcode.charCodeAt(0).toString(16)}, which no weights use`);
    return opcode === '.';
  }

  static readonly opcodes: Readonly<Record<string, (machine: Machine) => void>> = {
    '\x80': (m) => m.#protocol(m.#unsigned(1)),
    '\x95': (m) => m.#take(8), // FRAME: its length
    // Constants.
    N: (m) => m.#push(null),
    '\x88': (m) => m.#push(true),
    '\x89': (m) => m.#push(false),
    K: (m) => m.#push(m.#unsigned(1)),
    M: (m) => m.#push(m.#unsigned(2)),
    J: (m) => m.#push(m.#take(4).readInt32LE()),
    '\x8a': (m) => m.#push(m.#integer(m.#unsigned(1))),
    '\x8b': (m) => m.#push(m.#integer(m.#unsigned(4))),
    G: (m) => m.#push(m.#take(8).readDoubleBE()),
    I: (m) => m.#push(m.#decimal()),
    L: (m) => m.#push(m.#decimal()),
    // Strings: text, Python 2's, bytes.
    '\x8c': (m) => m.#push(m.#text(1)),
    X: (m) => m.#push(m.#text(4)),
    '\x8d': (m) => m.#push(m.#text(8)),
    U: (m) => m.#push(m.#text(1)),
    T: (m) => m.#push(m.#text(4)),
    C: (m) => m.#push(m.#take(m.#unsigned(1))),
    B: (m) => m.#push(m.#take(m.#unsigned(4))),
    '\x8e': (m) => m.#push(m.#take(m.#unsigned(8))),
    // Containers.
    '(': (m) => m.#mark(),
    ')': (m) => m.#push(new Tuple([])),
    '\x85': (m) => m.#push(new Tuple(m.#last(1))),
    '\x86': (m) => m.#push(new Tuple(m.#last(2))),
    '\x87': (m) => m.#push(new Tuple(m.#last(3))),
    t: (m) => m.#push(new Tuple(m.#sinceMark())),
    ']': (m) => m.#push([]),
    l: (m) => m.#push(m.#sinceMark()),
    a: (m) => m.#append(m.#last(1)),
    e: (m) => m.#append(m.#sinceMark()),
    '}': (m) => m.#push(new Dict()),
    d: (m) => {
      const items = m.#sinceMark();
      m.#push(new Dict());
      m.#setItems(items);
    },
    s: (m) => m.#setItems(m.#last(2)),
    u: (m) => m.#setItems(m.#sinceMark()),
    '\x8f': (m) => m.#push(new Set()),
    '\x90': (m) => m.#addItems(m.#sinceMark()),
    // The stack and the memo.
    '0': (m) => m.#pop(),
    '1': (m) => m.#sinceMark(),
    '2': (m) => m.#push(m.#top()),
    q: (m) => m.#memo.set(m.#unsigned(1), m.#top()),
    r: (m) => m.#memo.set(m.#unsigned(4), m.#top()),
    p: (m) => m.#memo.set(Number(m.#decimal()), m.#top()),
    '\x94': (m) => m.#memo.set(m.#memo.size, m.#top()),
    h: (m) => m.#recall(m.#unsigned(1)),
    j: (m) => m.#recall(m.#unsigned(4)),
    g: (m) => m.#recall(Number(m.#decimal())),
    // Names and what is built from them.
    c: (m) => m.#push(m.#global(m.#line(), m.#line())),
    '\x93': (m) => {
      const [module, name] = m.#last(2);
      m.#push(m.#global(String(module), String(name)));
    },
    R: (m) => m.#call(),
    '\x81': (m) => m.#call(),
    b: (m) => m.#build(),
    Q: (m) => m.#push(storageOf(m.#pop())),
  };

  #take(count: number): Buffer {
    if (!(count <= this.#bytes.length - this.at)) throw new UnexpectedEnd();
    this.at += count;
    return this.#bytes.subarray(this.at - count, this.at);
  }

  #unsigned(bytes: 1 | 2 | 4 | 8): number {
    const taken = this.#take(bytes);
    return bytes === 8 ? Number(taken.readBigUInt64LE()) : taken.readUIntLE(0, bytes);
  }

  #integer(bytes: number): number | bigint {
    if (bytes > MAX_INTEGER_BYTES) throw new MalformedPickle(`has an integer of ${bytes} bytes`);
    const digits = Buffer.from(this.#take(bytes)).reverse().toString('hex');
    const value = BigInt.asIntN(8 * bytes, BigInt(`0x${digits || '0'}`));
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.at);
    if (end < 0) throw new UnexpectedEnd();
    const line = this.#take(end - this.at).toString('utf8');
    this.at++;
    return line;
  }

  #decimal(): number | boolean {
    const line = this.#line();
    if (line === '00' || line === '01') return line === '01';
    if (!/^-?\d{1,15}L?$/.test(line)) throw new MalformedPickle(`has ${JSON.stringify(line.slice(0, 40))} for an integer`);
    return Number.parseInt(line, 10);
  }

  #text(lengthBytes: 1 | 4 | 8): string {
    return this.#take(this.#unsigned(lengthBytes)).toString('utf8');
  }

  #protocol(version: number): void {
    if (version > 5) throw new MalformedPickle(`is of pickle protocol ${version}, expected at most 5`);
  }

  #push(value: Value): void {
    this.#stack.push(value);
  }

  #pop(): Value {
    return this.#last(1)[0] as Value;
  }

  #top(): Value {
    if (this.#stack.length === 0) throw new MalformedPickle('has a pickle that takes what is not there');
    return this.#stack.at(-1) as Value;
  }

  #last(count: number): Value[] {
    if (this.#stack.length < count) throw new MalformedPickle('has a pickle that takes what is not there');
    return this.#stack.splice(this.#stack.length - count);
  }

  #mark(): void {
    this.#below.push(this.#stack);
    this.#stack = [];
  }

  #sinceMark(): Value[] {
    const items = this.#stack;
    const below = this.#below.pop();
    if (below === undefined) throw new MalformedPickle('has a pickle that goes back to a mark it never made');
    this.#stack = below;
    return items;
  }

  #append(items: readonly Value[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw new MalformedPickle(`appends to ${describe(list)}`);
    for (const item of items) list.push(item);
  }

  #setItems(items: readonly Value[]): void {
    const dict = this.#top();
    if (!(dict instanceof Dict) || items.length % 2 !== 0)
      throw new MalformedPickle(`sets ${items.length} keys and values of ${describe(dict)}`);
    for (let i = 0; i < items.length; i += 2) dict.set(items[i] as Value, items[i + 1] as Value);
  }

  #addItems(items: readonly Value[]): void {
    const set = this.#top();
    if (!(set instanceof Set)) throw new MalformedPickle(`adds to ${describe(set)}`);
    for (const item of items) set.add(item);
  }

  #recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw new MalformedPickle(`refers to memo ${index}, which it never set`);
    this.#push(value);
  }

  #global(module: string, name: string): Global {
    const global = globalOf(`${module}.${name}`);
    if (global) return global;
    throw new CheckpointUnsafeError(
      `asks for ${module}.${name}, which is no part of weights; nothing was run. Where it comes from, save its tensors alone`,
    );
  }

  #call(): void {
    const [callee, args] = this.#last(2) as [Value, Value];
    if (!(callee instanceof Global) || !callee.call) throw new MalformedPickle(`calls ${describe(callee)}`);
    this.#push(callee.call(itemsOf(args, 'arguments')));
  }

  /** Attributes of an object. Only ordered dicts have them: `_metadata`, versions of modules, which say nothing about weights. */
  #build(): void {
    const [object] = this.#last(2) as [Value, Value];
    if (!(object instanceof Dict)) throw new MalformedPickle(`sets attributes of ${describe(object)}`);
    this.#push(object);
  }
}

const { opcodes } = Machine;
