/** The platform's, as they were when this was loaded: a test may have put its own in their place. */
const immediate = (globalThis as { readonly setImmediate?: (work: () => void) => unknown }).setImmediate
const Channel = globalThis.MessageChannel

/**
 * Resolves when everything that can go on without time and input has done so: a task of the platform comes after all
 * microtasks, whatever these cause.
 */
export function quiescence(): Promise<void> {
  if (immediate !== undefined) return new Promise(resolve => immediate(resolve))
  return new Promise(resolve => {
    const { port1, port2 } = new Channel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(undefined)
  })
}
