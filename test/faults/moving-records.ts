/** The records of a fleet that is moved: each has a number, and the numbers of a key grow. */

/** How many partitions they come in. */
export const partitions = 8

/** The n-th record: of a few keys that many records have, or now and then of one that is new. */
export function recordOf(n: number): { readonly key: string; readonly value: string; readonly timestamp: number } {
  return {
    key: n % 10 === 7 ? `new${n}` : `k${n % 5}`,
    value: JSON.stringify({ type: 'ADD', by: `${n}` }),
    timestamp: n,
  }
}

/** What a worker says of each append that was acknowledged to it. */
export interface Acknowledgement {
  readonly run: string
  readonly units: readonly { readonly seq: number; readonly by: readonly string[] }[]
}

/** How a worker ended. */
export interface Ending {
  /** How many records it had sent to itself. */
  readonly sent: number
  /** The error of the first lease that stood stopped. */
  readonly stopped: { readonly code: string; readonly cause: string; readonly message: string }
}
