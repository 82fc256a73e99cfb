/** The wire format of protocol buffers (protobuf.dev/programming-guides/encoding), as far as a sentencepiece model needs it. */
import { TokenizerError } from '../errors';

/** A cursor over the fields of one message. Each read is checked: a damaged file is an error, whatever its bytes. */
export class ProtobufReader {
  /** 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes: how the field that `field` gave is written. */
  wire = 0;

  constructor(
    private readonly bytes: Buffer,
    private position = 0,
    private end = bytes.length,
  ) {}

  get done(): boolean {
    return this.position >= this.end;
  }

  /** Number of the next field. Read or skip its value before asking for another. */
  field(): number {
    const tag = this.varint();
    this.wire = tag % 8;
    return Math.floor(tag / 8);
  }

  /** An unsigned number; above 2^53 only its size is right. */
  varint(): number {
    const first = this.bytes[this.position];
    if (first !== undefined && first < 128 && this.position < this.end) {
      this.position++;
      return first;
    }
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count++) {
      const byte = this.bytes[this.take(1)] as number;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    throw new TokenizerError(`a number at byte ${this.position} has more than 10 bytes`);
  }

  float(): number {
    this.expect(5);
    return this.bytes.readFloatLE(this.take(4));
  }

  /** Copies bytes to `target` from `at`; where they end there. `target` must be as long as the file. */
  copy(target: Uint8Array, at: number): number {
    let to = at;
    for (let from = this.span(); from < this.position; from++) target[to++] = this.bytes[from] as number;
    return to;
  }

  string(): string {
    const begin = this.span();
    return this.bytes.toString('utf8', begin, this.position);
  }

  /** Lets `read` take the fields of a message inside this one, which ends where `done` says. */
  message<Target>(read: (fields: ProtobufReader, target: Target) => void, target: Target): void {
    const begin = this.span();
    const outer = this.end;
    this.end = this.position;
    this.position = begin;
    read(this, target);
    this.position = this.end;
    this.end = outer;
  }

  /** An integer or truth value; -1 when it is negative, which is written as 64 bits. */
  integer(): number {
    this.expect(0);
    const value = this.varint();
    return value > 0x7fffffff ? -1 : value;
  }

  skip(): void {
    if (this.wire === 0) this.varint();
    else if (this.wire === 1) this.take(8);
    else if (this.wire === 2) this.span();
    else if (this.wire === 5) this.take(4);
    else throw new TokenizerError(`a field at byte ${this.position} is written in form ${this.wire}, expected 0, 1, 2 or 5`);
  }

  private span(): number {
    this.expect(2);
    return this.take(this.varint());
  }

  private expect(wire: number): void {
    if (this.wire !== wire) throw new TokenizerError(`a field at byte ${this.position} is written in form ${this.wire}, expected ${wire}`);
  }

  private take(count: number): number {
    const begin = this.position;
    if (count > this.end - begin)
      throw new TokenizerError(`it ends at byte ${this.end}, inside a field of ${count} bytes at byte ${begin}`);
    this.position += count;
    return begin;
  }
}

/** A whole number from 0 below 2^31, bytes or an inner message, or a float. */
export type ProtobufValue = number | Buffer | { readonly float: number };

/** The bytes of a message with these fields, in their order. */
export function protobufMessage(fields: readonly (readonly [number: number, value: ProtobufValue])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([number, value]) => {
      if (typeof value === 'number') return [varint(number * 8), varint(value)];
      if (Buffer.isBuffer(value)) return [varint(number * 8 + 2), varint(value.length), value];
      const contents = Buffer.alloc(4);
      contents.writeFloatLE(value.float);
      return [varint(number * 8 + 5), contents];
    }),
  );
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) + 128);
  return Buffer.from([...bytes, left]);
}
