// ../open-git.ts
import { gitStore } from "xmachines/persistence/git";
import { fileStore } from "xmachines/persistence/filesystem";

// src/actors/json/well-formed.ts
function isWellFormed(text) {
  return text.isWellFormed();
}

// src/actors/identity/canonical-json.ts
function prettyCanonicalJson(value) {
  return `${write(value, "\n")}
`;
}
function write(value, line) {
  switch (typeof value) {
    case "string":
      return quote(value);
    case "number":
      if (!Number.isFinite(value)) throw new TypeError(`Expected JSON, got ${value}`);
      return `${value}`;
    // ECMAScript's own text is what the RFC prescribes; -0 becomes 0
    case "boolean":
      return value ? "true" : "false";
    case "object":
      if (value === null) return "null";
      return isArray(value) ? writeArray(value, line) : writeObject(value, line);
    default:
      throw new TypeError(`Expected JSON, got ${typeof value}`);
  }
}
function writeArray(array, line) {
  if (array.length === 0) return "[]";
  const inner = line === "" ? "" : `${line}  `;
  let text = "";
  for (const element of array) text += `${text === "" ? "[" : ","}${inner}${write(element, inner)}`;
  return `${text}${line}]`;
}
function writeObject(object, line) {
  const inner = line === "" ? "" : `${line}  `;
  const colon = line === "" ? ":" : ": ";
  let text = "";
  for (const key of sortedKeys(object)) {
    const value = object[key];
    if (value === void 0) continue;
    text += `${text === "" ? "{" : ","}${inner}${quote(key)}${colon}${write(value, inner)}`;
  }
  return text === "" ? "{}" : `${text}${line}}`;
}
function sortedKeys(object) {
  const keys = Object.keys(object);
  for (let index = 1; index < keys.length; index++) {
    if (keys[index - 1] > keys[index]) return keys.sort();
  }
  return keys;
}
var special = /["\\\p{Cc}\p{Cs}]/u;
function quote(text) {
  if (!special.test(text)) return `"${text}"`;
  if (!isWellFormed(text)) throw new TypeError("Expected well-formed Unicode, got a lone surrogate");
  return JSON.stringify(text);
}
function isArray(value) {
  return Array.isArray(value);
}

// src/actors/identity/commit-subject.ts
var longest = 100;
var unshowable = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu;
function commitSubject(text) {
  const head = text.length > longest ? text.slice(0, longest + 1) : text;
  const line = head.replace(unshowable, escaped);
  if (line.length <= longest) return line;
  const cut = line.slice(0, longest - 1);
  return `${/[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut}\u2026`;
}
function joinForSubject(start, items) {
  let text = start;
  let separator = " ";
  for (const item of items) {
    text += separator + item.slice(0, longest + 1);
    if (text.length > longest) break;
    separator = ", ";
  }
  return text;
}
function escaped(character) {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

// src/actors/identity/digest.ts
import { sha1 } from "@noble/hashes/legacy.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
var portableDigest = (format, bytes) => bytesToHex(format === "sha1" ? sha1(bytes) : sha256(bytes));
function nativeDigest() {
  try {
    const crypto = globalThis.process?.getBuiltinModule?.("node:crypto");
    if (crypto === void 0) return void 0;
    const { hash } = crypto;
    const native = hash === void 0 ? (format, bytes) => crypto.createHash(format).update(bytes).digest("hex") : (format, bytes) => hash(format, bytes, "hex");
    const probe = new Uint8Array([1, 2, 3]);
    const right = ["sha1", "sha256"].every((format) => native(format, probe) === portableDigest(format, probe));
    return right ? native : void 0;
  } catch {
    return void 0;
  }
}
var chosen;
function digest(format, bytes) {
  chosen ??= nativeDigest() ?? portableDigest;
  return chosen(format, bytes);
}

// src/actors/identity/git-objects.ts
var encoder = new TextEncoder();
function commitText(content) {
  let text = `tree ${content.tree}
`;
  for (const parent of content.parents) text += `parent ${parent}
`;
  return `${text}author ${content.author}
committer ${content.committer}

${content.message}`;
}
var headerRoom = 32;
var scratch = new Uint8Array(65536);
function gitObjectId(format, type, content) {
  return digest(format, passThrough(type, content));
}
function passThrough(type, content) {
  const room = headerRoom + roomFor(content);
  const bytes = room <= scratch.length ? scratch : new Uint8Array(room);
  const end = write2(bytes, headerRoom, content);
  const header = `${type} ${end - headerRoom}\0`;
  const start = headerRoom - header.length;
  writeText(bytes, start, header);
  return bytes.subarray(start, end);
}
function roomFor(content) {
  if (typeof content === "string") return content.length * 3;
  if (content instanceof Uint8Array) return content.length;
  let room = 0;
  for (const { name, oid } of content) room += "100644 \0".length + name.length * 3 + oid.length / 2;
  return room;
}
function write2(bytes, start, content) {
  if (typeof content === "string") return writeText(bytes, start, content);
  if (content instanceof Uint8Array) {
    bytes.set(content, start);
    return start + content.length;
  }
  let end = start;
  for (const { mode, name, oid } of content) {
    end = writeText(bytes, end, mode);
    bytes[end++] = 32;
    end = writeText(bytes, end, name);
    bytes[end++] = 0;
    for (let at = 0; at < oid.length; at += 2) bytes[end++] = hexDigit(oid, at) << 4 | hexDigit(oid, at + 1);
  }
  return end;
}
function writeText(bytes, start, text) {
  if (text.length <= 32) {
    let at = 0;
    for (; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit > 127) break;
      bytes[start + at] = unit;
    }
    if (at === text.length) return start + at;
  }
  return start + encoder.encodeInto(text, bytes.subarray(start)).written;
}
function hexDigit(text, at) {
  const unit = text.charCodeAt(at);
  return unit < 97 ? unit - 48 : unit - 87;
}

// src/actors/identity/commits.ts
function machineId(format, machine) {
  return putMachine(naming[format], machine);
}
function runId(format, creation) {
  return putRun(naming[format], creation);
}
function unitId(format, content) {
  return putUnit(naming[format], content);
}
var naming = {
  sha1: (type, content) => gitObjectId("sha1", type, content),
  sha256: (type, content) => gitObjectId("sha256", type, content)
};
function putMachine(put, { id, version, definition }) {
  const file = put("blob", prettyCanonicalJson({ definition, id, version }));
  const tree = put("tree", [{ mode: "100644", name: "machine.json", oid: file }]);
  return putCommit(put, tree, [], 0, `machine ${id} ${version}`);
}
function putRun(put, creation) {
  const { fork, input, key, machine, namespace, nonce, snapshot } = creation;
  const file = put("blob", prettyCanonicalJson({ fork, input, key, machine, namespace, nonce, snapshot }));
  const tree = put("tree", [{ mode: "100644", name: "run.json", oid: file }]);
  const name = key === void 0 ? namespace : `${namespace}/${key}`;
  if (fork === void 0) return putCommit(put, tree, [machine], 0, `run ${name}`);
  return putCommit(put, tree, [fork.parent], 0, `fork at ${fork.at}: ${name}`);
}
function putUnit(put, content) {
  const eventsFile = put("blob", eventsText(content));
  const unitFile = put("blob", unitText(content));
  const tree = put("tree", [
    { mode: "100644", name: "events.json", oid: eventsFile },
    { mode: "100644", name: "unit.json", oid: unitFile }
  ]);
  return put("commit", unitCommitText(content, tree));
}
function eventsText({ unit }) {
  return prettyCanonicalJson(unit.events);
}
function unitText({ machine, unit, created }) {
  const { at, origin, seq } = unit;
  return prettyCanonicalJson({ at, created, machine, origin, seq });
}
function unitCommitText({ parent, unit }, tree) {
  const { at, events, origin, seq } = unit;
  const what = events.length === 0 ? [origin.kind] : events.map((event) => event.type);
  return ownCommitText(tree, [parent], at, joinForSubject(`${seq}`, what));
}
var lastSecond = 864e10;
function putCommit(put, tree, parents, at, subject) {
  return put("commit", ownCommitText(tree, parents, at, subject));
}
function ownCommitText(tree, parents, at, subject) {
  const seconds = Math.min(Math.max(0, Math.floor(at / 1e3)), lastSecond);
  const who = `xmachines <runs@xmachines.invalid> ${seconds} +0000`;
  const message = `${commitSubject(subject)}
`;
  return commitText({ tree, parents, author: who, committer: who, message });
}

// src/actors/identity/unit-chain.ts
function unitChain(format, anchor) {
  let { id, machine, created } = anchor;
  return {
    get id() {
      return id;
    },
    get machine() {
      return machine;
    },
    next(unit) {
      machine = unit.machine ?? machine;
      id = unitId(format, { parent: id, machine, unit, created });
      created = void 0;
      return id;
    }
  };
}

// src/testing/check.ts
function check(fact, claim) {
  if (!fact) throw new Error(`Expected that ${claim}.`);
}

// src/testing/store-conformance/test-run.ts
var nonces = 0;
function testMachine(format, version = "1") {
  const content = { id: "light", version, definition: { id: "light", initial: "red", states: [["red", {}]] } };
  return deepFreeze({ oid: machineId(format, content), ...content });
}
var TestRun = class {
  id;
  format;
  creation;
  machine;
  /** The creation's unit. */
  beginning;
  parent;
  /** The own units that were appended, in order: of a fork those after the shared ones. */
  appended = [];
  seq = -1;
  revision = 0;
  constructor(format, options = {}) {
    const { namespace = "tests", key, fork, input, time = "arrival", at = 1e3 + (fork?.at ?? 0) } = options;
    this.format = format;
    this.parent = fork;
    this.machine = options.machine ?? fork?.of.machine ?? testMachine(format);
    this.creation = deepFreeze({
      machine: this.machine.oid,
      namespace,
      ...key === void 0 ? { nonce: options.nonce ?? `nonce ${nonces++}` } : { key },
      ...input === void 0 ? {} : { input },
      ...fork === void 0 ? {} : { fork: { run: fork.of.id, at: fork.at, parent: fork.of.history()[fork.at].id } },
      time
    });
    this.id = runId(format, this.creation);
    this.beginning = deepFreeze({ ...plainUnit(fork?.at ?? 0, at), events: [], outputs: [], creation: this.creation });
  }
  /** The item that creates the run. @param more units after the creation */
  creates(rest = {}, more = 0) {
    const first = this.beginning.seq + 1;
    const units = [this.beginning, ...Array.from({ length: more }, (_, index) => testUnit(first + index))];
    return { run: this.id, expected: null, units, machine: this.machine, ...rest };
  }
  /** The item that goes on where the run stands. @param units how many, or which */
  goesOn(units = 1, rest = {}) {
    const made = typeof units === "number" ? Array.from({ length: units }, (_, n) => testUnit(this.seq + 1 + n)) : units;
    return { run: this.id, expected: { seq: this.seq, revision: this.revision }, units: made, ...rest };
  }
  /** Follows an outcome of one of its items: it must be `appended`. */
  follow(item, outcome) {
    check(outcome?.status === "appended", `an item of run ${this.id} is appended, not ${JSON.stringify(outcome)}`);
    this.seq = outcome.seq;
    this.revision = outcome.revision;
    for (const unit of item.units) {
      if (unit !== this.beginning || this.parent === void 0)
        this.appended.push({ unit, epoch: unit.epoch === void 0 ? item.lease?.epoch : unit.epoch ?? void 0 });
    }
  }
  /** Appends one item, and follows it. */
  async append(store2, item) {
    const [outcome] = await store2.append([item]);
    this.follow(item, outcome);
  }
  /** Creates the run in `store`. */
  async create(store2, rest = {}, more = 0) {
    await this.append(store2, this.creates(rest, more));
    return this;
  }
  /** Appends the next units. */
  async goOn(store2, units = 1, rest = {}) {
    await this.append(store2, this.goesOn(units, rest));
    return this;
  }
  /** Changes what is kept beside, without a unit. */
  async change(store2, beside) {
    return this.goOn(store2, 0, { beside });
  }
  /** The history that a store must show: of a fork, the shared units first. Ids from scratch. */
  history() {
    const shared = this.parent === void 0 ? [] : this.parent.of.history().slice(0, this.parent.at + 1);
    const chain = unitChain(this.format, { id: this.id, machine: this.machine.oid, created: this.beginning.at });
    const own = this.appended.map(({ unit, epoch }) => {
      const id = unit === this.beginning ? this.id : chain.next(unit);
      const { epoch: _, ...content } = unit;
      return { ...content, run: this.id, id, ...epoch === void 0 ? {} : { epoch } };
    });
    return [...shared, ...own];
  }
};
function testUnit(seq, more = {}) {
  return deepFreeze({
    ...plainUnit(seq, 1e3 + seq),
    events: [{ type: "NEXT", n: seq }],
    outputs: [{ type: "DONE", n: seq }],
    ...more
  });
}
function plainUnit(seq, at) {
  return { seq, at, origin: { kind: "outside" } };
}
function deepFreeze(value) {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}

// ../open-git.ts
var kind = process.argv[2];
var dir = process.argv[3];
var size = Number(process.argv[4]);
var open = () => kind === "git" ? gitStore({ gitdir: dir }) : fileStore(dir, { fsync: false });
var store = open();
var few = [];
for (let n = 0; n < size; n += 1e3) {
  const runs = Array.from({ length: 1e3 }, (_, k) => new TestRun("sha1", { key: `run ${n + k}` }));
  const outs = await store.append(runs.map((r) => r.creates({}, 5)));
  for (const [i, o] of outs.entries()) {
    if (o.status !== "appended") throw o;
    runs[i].seq = o.seq;
    runs[i].revision = o.revision;
  }
  if (n === 0) few.push(...runs);
}
var appendTo = async () => {
  const items = few.map((r) => r.goesOn());
  const s = performance.now();
  const outs = await store.append(items);
  const t = performance.now() - s;
  for (const [i, o] of outs.entries()) {
    if (o.status !== "appended") throw o;
    few[i].seq = o.seq;
    few[i].revision = o.revision;
  }
  ;
  return t;
};
var ap = [];
for (let i = 0; i < 8; i++) ap.push(await appendTo());
var times = [];
var closes = [];
for (let i = 0; i < 9; i++) {
  let s = performance.now();
  await store.close();
  closes.push(performance.now() - s);
  s = performance.now();
  store = open();
  await store.head(few[0].id);
  times.push(performance.now() - s);
}
console.log(kind, size, "append \xB5s/unit", ap.map((x) => x.toFixed(1)).join(" "), "open ms", times.map((x) => x.toFixed(1)).join(" "), "close", closes.map((x) => x.toFixed(0)).join(" "), "rss", (process.memoryUsage().rss / 1e6).toFixed(0));
await store.close();
