import { XMachinesError } from '../errors.ts'
import type { LiveMachineSnapshot } from '../machine/xstate.ts'

/** A promise that somebody else settles, and that never causes an unhandled rejection. */
class Deferred<T> {
  resolve!: (value: T) => void
  reject!: (error: unknown) => void
  readonly promise = new Promise<T>((resolve, reject) => {
    this.resolve = resolve
    this.reject = reject
  })
  constructor() {
    this.promise.catch(() => {})
  }
}

/** `ready` and `done`, made when first asked for. */
export class Settlers {
  readonly ready = new Deferred<void>()
  readonly done = new Deferred<unknown>()

  settle(status: LiveMachineSnapshot['status'], output: unknown, error: unknown): void {
    if (status === 'done') this.done.resolve(output)
    else if (status === 'error') this.done.reject(error)
    else this.done.reject(new XMachinesError('RUN_FINISHED', 'The run was stopped before its machine was done.'))
  }

  abandon(run: string): void {
    const error = new XMachinesError(
      'RUN_CLOSED',
      `The handle of run ${run} was closed. Open the run again to wait for its end.`,
      { details: { run } },
    )
    this.ready.reject(error)
    this.done.reject(error)
  }
}
