// The lines of verdicts.c, made by @msgpack/msgpack: node js_verdicts.mjs FOLDER-OF-THE-PACKAGE
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.argv[2] + "/");
const { Decoder, ExtData } = require("@msgpack/msgpack");

// No extension is given a meaning, the timestamp included.
const extensionCodec = {
  tryToEncode: () => null,
  decode: (data, type) => new ExtData(type, data),
};
// Text stays bytes; a key may be any value, and keeps its form behind a mark that no text has.
const marked = (key) => "\u0000" + show(key);
const decoder = new Decoder({
  extensionCodec, useBigInt64: true, rawStrings: true, mapKeyConverter: marked,
});

const hex = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");

function show(value) {
  if (value === null) return "n";
  if (value === true) return "t";
  if (value === false) return "f";
  if (typeof value === "bigint") return "i" + value;
  if (typeof value === "number") return "#" + value; // an integer of 32 bits or a float: told apart below
  if (typeof value === "string") return "s" + Buffer.from(value).toString("hex");
  if (value instanceof ExtData) return "e" + value.type + ":" + hex(value.data);
  if (value instanceof Uint8Array) return "x" + hex(value);
  if (Array.isArray(value)) return "[" + value.map(show).join(",") + "]";
  return "{" + Object.keys(value).map((key) => key.slice(1) + "=" + show(value[key])).sort().join(",") + "}";
}

const input = readFileSync(0);
const lines = [];
for (let at = 0; at < input.length;) {
  const bytes = input.readUInt32BE(at);
  const frame = input.subarray(at + 4, at + 4 + bytes);
  at += 4 + bytes;
  try {
    lines.push(show(decoder.decode(frame)));
  } catch (error) {
    lines.push("refused " + error.message.split("\n")[0].slice(0, 60));
  }
}
process.stdout.write(lines.join("\n") + "\n");
