import type { ObjectFormat } from '../contracts/unit.ts'
import { digest } from './digest.ts'

/** The kinds of Git objects that histories are made of. */
export type GitObjectType = 'blob' | 'tree' | 'commit'

/** A Git object: `bytes` is its content, without Git's header. */
export interface GitObject {
  readonly oid: string
  readonly type: GitObjectType
  readonly bytes: Uint8Array
}

/** An entry of a tree. Mode as Git writes it: `100644` a file, `40000` a tree. */
export interface GitTreeEntry {
  readonly mode: '100644' | '100755' | '120000' | '160000' | '40000'
  readonly name: string
  readonly oid: string
}

/** What a commit says. */
export interface GitCommitContent {
  readonly tree: string
  readonly parents: readonly string[]
  /** `Name <address> seconds +0000`. */
  readonly author: string
  readonly committer: string
  /** Ends in a newline. */
  readonly message: string
}

/** What an object holds: bytes, text (as UTF-8), or a tree's entries, already in Git's order. */
export type GitContent = Uint8Array | string | readonly GitTreeEntry[]

const encoder = new TextEncoder()

/** A blob. */
export function gitBlob(format: ObjectFormat, bytes: Uint8Array): GitObject {
  return gitObject(format, 'blob', bytes)
}

/** A tree; its entries are put into Git's order. */
export function gitTree(format: ObjectFormat, entries: readonly GitTreeEntry[]): GitObject {
  return gitObject(format, 'tree', [...entries].sort(byGitOrder))
}

/** A commit. */
export function gitCommit(format: ObjectFormat, content: GitCommitContent): GitObject {
  return gitObject(format, 'commit', commitText(content))
}

/** The text of a commit. */
export function commitText(content: GitCommitContent): string {
  let text = `tree ${content.tree}\n`
  for (const parent of content.parents) text += `parent ${parent}\n`
  return `${text}author ${content.author}\ncommitter ${content.committer}\n\n${content.message}`
}

/** An object of any type. */
export function gitObject(format: ObjectFormat, type: GitObjectType, content: GitContent): GitObject {
  const { oid, bytes } = passingObject(format, type, content)
  return { oid, type, bytes: bytes.slice() }
}

/** An object of which the bytes are there until the next one is made or named: to copy where many go into one place. */
export function passingObject(format: ObjectFormat, type: GitObjectType, content: GitContent): GitObject {
  const whole = passThrough(type, content)
  return { oid: digest(format, whole), type, bytes: whole.subarray(whole.indexOf(0) + 1) }
}

/** Room for the longest header: type, length, NUL. */
const headerRoom = 32
/** One object is hashed at a time, so all of them pass through the same bytes. A larger one gets its own. */
const scratch = new Uint8Array(65_536)

/** The name of an object, without making the object: the hash of its header and content. */
export function gitObjectId(format: ObjectFormat, type: GitObjectType, content: GitContent): string {
  return digest(format, passThrough(type, content))
}

/** Header and content, in the bytes that all objects pass through. */
function passThrough(type: GitObjectType, content: GitContent): Uint8Array {
  const room = headerRoom + roomFor(content)
  const bytes = room <= scratch.length ? scratch : new Uint8Array(room)
  const end = write(bytes, headerRoom, content)
  const header = `${type} ${end - headerRoom}\0`
  const start = headerRoom - header.length
  writeText(bytes, start, header)
  return bytes.subarray(start, end)
}

/** At least as many bytes as the content takes. */
function roomFor(content: GitContent): number {
  if (typeof content === 'string') return content.length * 3
  if (content instanceof Uint8Array) return content.length
  let room = 0
  for (const { name, oid } of content) room += '100644 \0'.length + name.length * 3 + oid.length / 2
  return room
}

/** Writes the content and returns where it ends. */
function write(bytes: Uint8Array, start: number, content: GitContent): number {
  if (typeof content === 'string') return writeText(bytes, start, content)
  if (content instanceof Uint8Array) {
    bytes.set(content, start)
    return start + content.length
  }
  let end = start
  for (const { mode, name, oid } of content) {
    end = writeText(bytes, end, mode)
    bytes[end++] = 32
    end = writeText(bytes, end, name)
    bytes[end++] = 0
    for (let at = 0; at < oid.length; at += 2) bytes[end++] = (hexDigit(oid, at) << 4) | hexDigit(oid, at + 1)
  }
  return end
}

/** Writes UTF-8 and returns where it ends. A loop costs less than the call of an encoder where the text is short and ASCII. */
function writeText(bytes: Uint8Array, start: number, text: string): number {
  if (text.length <= 32) {
    let at = 0
    for (; at < text.length; at++) {
      const unit = text.charCodeAt(at)
      if (unit > 127) break
      bytes[start + at] = unit
    }
    if (at === text.length) return start + at
  }
  return start + encoder.encodeInto(text, bytes.subarray(start)).written
}

/** The value of a digit `0-9a-f`, by its place in ASCII. */
function hexDigit(text: string, at: number): number {
  const unit = text.charCodeAt(at)
  return unit < 97 ? unit - 48 : unit - 87
}

/** Git compares names as bytes, a tree's as if it ended in a slash. */
function byGitOrder(one: GitTreeEntry, other: GitTreeEntry): number {
  const a = encoder.encode(one.mode === '40000' ? `${one.name}/` : one.name)
  const b = encoder.encode(other.mode === '40000' ? `${other.name}/` : other.name)
  for (let at = 0; at < a.length && at < b.length; at++) {
    const difference = (a[at] as number) - (b[at] as number)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
