/** Lets others have a turn: what is done in pieces holds nobody up. */
export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
