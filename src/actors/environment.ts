/** A timer handle of the platform. */
export type TimeoutHandle = ReturnType<typeof globalThis.setTimeout>

/** What the core takes from the world around it: nothing else reads a clock, sets a timer or draws a nonce. */
export interface Environment {
  /** Milliseconds since 1970. */
  now(): number
  setTimeout(work: () => void, ms: number): TimeoutHandle
  clearTimeout(handle: TimeoutHandle): void
  /** 128 random bits in hex. */
  nonce(): string
  /** Names this process among all that share a store. */
  readonly process: string
}

function nonce(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}

/** The platform's own. */
export const platform: Environment = {
  now: () => Date.now(),
  setTimeout: (work, ms) => globalThis.setTimeout(work, ms),
  clearTimeout: handle => globalThis.clearTimeout(handle),
  nonce,
  process: nonce(),
}
