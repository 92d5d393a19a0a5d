import { sha1 } from '@noble/hashes/legacy.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import type { ObjectFormat } from '../contracts/unit.ts'

/** A hash, at once and in hex. (Web Crypto has promises only, and an id is needed where no one can wait.) */
export type Digest = (format: ObjectFormat, bytes: Uint8Array) => string

/** The part of `node:crypto` that is used. Node, Deno and Bun hand it out without an import, so that this file runs anywhere. */
interface NativeCrypto {
  hash?(algorithm: string, bytes: Uint8Array, encoding: 'hex'): string
  createHash(algorithm: string): { update(bytes: Uint8Array): { digest(encoding: 'hex'): string } }
}

interface Runtime {
  readonly process?: { getBuiltinModule?(name: string): unknown }
}

/** The hash in plain JavaScript: six to ten times slower, the same on every runtime. */
export const portableDigest: Digest = (format, bytes) => bytesToHex(format === 'sha1' ? sha1(bytes) : sha256(bytes))

/** The runtime's own hash, if it has one that is synchronous and right. */
export function nativeDigest(): Digest | undefined {
  try {
    const crypto = (globalThis as Runtime).process?.getBuiltinModule?.('node:crypto') as NativeCrypto | undefined
    if (crypto === undefined) return undefined
    const { hash } = crypto
    const native: Digest =
      hash === undefined
        ? (format, bytes) => crypto.createHash(format).update(bytes).digest('hex')
        : (format, bytes) => hash(format, bytes, 'hex')
    const probe = new Uint8Array([1, 2, 3])
    const right = (['sha1', 'sha256'] as const).every(format => native(format, probe) === portableDigest(format, probe))
    return right ? native : undefined
  } catch {
    return undefined // a hash that is switched off, or an imitation of `process`
  }
}

let chosen: Digest | undefined

/** The hash of `bytes` in hex: the runtime's own where it has one. Decided at the first call. */
export function digest(format: ObjectFormat, bytes: Uint8Array): string {
  chosen ??= nativeDigest() ?? portableDigest
  return chosen(format, bytes)
}
