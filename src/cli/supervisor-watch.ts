import type { XMachinesError } from '../actors/errors.ts'
import type { Supervisor } from '../actors/supervisor/index.ts'
import type { Terminal } from './terminal.ts'
import { printable } from './text.ts'

/** `work`, or the signal, whichever comes first. */
export function until(signal: AbortSignal, work: Promise<unknown>): Promise<unknown> {
  if (signal.aborted) return Promise.resolve()
  return Promise.race([
    work,
    new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true })),
  ])
}

/** Tells what happens under a supervisor, and rejects when it cannot go on. */
export class SupervisorWatch {
  /** Rejects with what a lease, or the supervisor, stands stopped for. */
  readonly stopped: Promise<never>
  /** Runs that ended with an error, or are parked. */
  failed = 0

  constructor(terminal: Terminal, supervisor: Supervisor) {
    this.stopped = this.#follow(terminal, supervisor)
    this.stopped.catch(() => {})
  }

  async #follow(terminal: Terminal, supervisor: Supervisor): Promise<never> {
    let stalled: string | undefined
    const expiring = new Set<string>()
    for await (const event of supervisor.events) {
      switch (event.type) {
        case 'stopped':
        case 'failed':
          throw event.error
        case 'stalled':
          // It is tried again for ever: said once.
          if (stalled !== event.error.code) terminal.say(told(event.error))
          stalled = event.error.code
          break
        case 'expiring':
          if (!expiring.has(event.topic)) terminal.say(told(event.error))
          expiring.add(event.topic)
          break
        case 'restarted':
          terminal.say(`Run ${printable(event.key ?? '')} is tried again: ${told(event.error)}`)
          break
        case 'parked':
        case 'ended':
          this.failed++
          terminal.say(
            `Run ${printable(event.key ?? '')} ${event.type === 'ended' ? 'has ended' : 'is parked'}: ${told(event.error)}`,
          )
      }
    }
    return new Promise<never>(() => {}) // the supervisor was closed
  }
}

/** An error as `CODE: text`. */
function told({ code, message }: XMachinesError): string {
  return `${code}: ${printable(message)}`
}
