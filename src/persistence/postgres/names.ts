import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'

/*
 * PostgreSQL's text refuses NUL, and its clients turn lone surrogates into another character. JSON escapes both, so what is
 * JSON is kept as it is, and names are kept as JSON has them between its quotes: nearly all stand as they are.
 */

/** A name as the server keeps it. */
export function toText(name: string): string {
  return plain.test(name) ? name : JSON.stringify(name).slice(1, -1)
}

/** What JSON writes as it is, most names. */
const plain = /^[ !#-[\]-~]*$/

/** A name as it was before {@link toText}. */
export function fromText(text: string): string {
  return text.includes('\\') ? (JSON.parse(`"${text}"`) as string) : text
}

/** Longer names than an index takes are named by their hash. */
const longest = 256

/** One name for several things together, short enough for an index: no two of them have the same. */
export function toKey(...parts: readonly (string | number)[]): string {
  const text = JSON.stringify(parts)
  return text.length <= longest ? text : `#${bytesToHex(sha256(new TextEncoder().encode(text)))}`
}

/** An identifier of SQL, whatever it holds. */
export function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`
}

/** Whether a text can name a schema. The server cuts a longer one off without an error, so that two would be one store. */
export function isName(text: string): boolean {
  const bytes = new TextEncoder().encode(text)
  return bytes.length >= 1 && bytes.length <= 63 && !bytes.includes(0) && new TextDecoder().decode(bytes) === text
}
