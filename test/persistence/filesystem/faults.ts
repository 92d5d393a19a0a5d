import { type LogFiles, systemFiles } from '../../../src/persistence/filesystem/files.ts'

/** What the system says when it refuses. */
export function refused(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: as the test wants it`), { code })
}

/** The file system, with single calls replaced: a test looks whether each fault was hit. */
export class Faults {
  readonly files: LogFiles
  #faults: { readonly call: keyof LogFiles; readonly how: (...args: never[]) => unknown }[] = []

  constructor() {
    const files: Record<string, unknown> = { ...systemFiles }
    for (const call of ['openSync', 'writeSync', 'ftruncateSync', 'fdatasync', 'fsyncSync', 'renameSync'] as const) {
      files[call] = (...args: never[]) => {
        const next = this.#faults.findIndex(fault => fault.call === call)
        const how =
          next < 0
            ? (systemFiles[call] as unknown as (...args: never[]) => unknown)
            : this.#faults.splice(next, 1)[0]!.how
        return how(...args)
      }
    }
    this.files = files as LogFiles
  }

  /** The next such call does this. */
  next(call: keyof LogFiles, how: (...args: never[]) => unknown): void {
    this.#faults.push({ call, how })
  }

  fail(call: keyof LogFiles, code: string): void {
    this.next(call, () => {
      throw refused(code)
    })
  }

  failSync(code: string): void {
    this.next('fdatasync', ((_file: number, done: (error: Error) => void) =>
      setImmediate(done, refused(code))) as never)
  }

  get left(): number {
    return this.#faults.length
  }
}
