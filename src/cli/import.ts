import { statSync } from 'node:fs'
import { addAbortSignal } from 'node:stream'
import { Command } from 'commander'
import type { MachineRecord, Store } from '../actors/contracts/store.ts'
import type { ObjectFormat } from '../actors/contracts/unit.ts'
import { AppendQueue } from '../actors/copy/append-queue.ts'
import { XMachinesError } from '../actors/errors.ts'
import { isObject } from '../actors/json/fields.ts'
import { NdjsonDecoder } from '../transports/framing/ndjson.ts'
import { exportLines } from './export.ts'
import { type LeftOut, tellLeftOut } from './heads.ts'
import { checkMachine } from './import-line.ts'
import { invalid } from './import-refusals.ts'
import { openInput } from './input.ts'
import { checkObjectFormat, objectFormatOption } from './object-format-option.ts'
import { openStore } from './open-store.ts'
import { perform } from './perform.ts'
import { type ImportOutcome, type ImportTarget, RunImport } from './run-import.ts'
import { isElsewhere, storeArgument } from './store-doors.ts'
import type { Terminal } from './terminal.ts'
import { counted, printable, shortId } from './text.ts'
import type { BesideLine, UnitLine } from './unit-line.ts'

interface ImportOptions {
  readonly objectFormat?: ObjectFormat
}

/** `xmachines import STORE [FILE]`: takes over what `export` printed. */
export function importCommand(): Command {
  return new Command('import')
    .description('take over what `export` printed, or what a repository has; the runs are held')
    .argument('<store>', storeArgument)
    .argument(
      '[file|store]',
      'what `export` printed, or a Git repository or another store; without one, or with -, stdin',
    )
    .addOption(objectFormatOption())
    .action(perform(importStore))
}

/** A unit may hold a batch of large events. */
const maxLineBytes = 256 << 20

async function importStore(
  terminal: Terminal,
  location: string,
  from: string | undefined,
  options: ImportOptions,
): Promise<number> {
  let importer: Importer | undefined
  const damaged = new Map<string, LeftOut>()
  try {
    for await (const value of valuesOf(terminal, from, damaged)) {
      if (importer === undefined) {
        const format = formatOf(value)
        if (format !== undefined) checkObjectFormat(options.objectFormat, format)
        importer = await Importer.open(terminal, damaged, location, format ?? options.objectFormat)
      }
      await importer.take(value)
    }
    if (importer === undefined) {
      for (const run of damaged.values()) await tellLeftOut(terminal, run)
      return damaged.size === 0 ? 0 : 1
    }
    await importer.end()
    const { runs, unchanged, units, failed } = importer
    terminal.say(
      `${counted(runs, 'run')}: ${counted(units, 'unit')} appended, ${counted(unchanged, 'run')} as before, ${failed} not imported.`,
    )
    return failed === 0 ? 0 : 1
  } finally {
    await importer?.close()
  }
}

/** The lines of an export: of a file, or of the store that a directory is, or a URL. */
async function* valuesOf(
  terminal: Terminal,
  from = '-',
  damaged: Map<string, LeftOut>,
): AsyncGenerator<unknown, void, void> {
  const { signal } = terminal
  if (from !== '-' && (statSync(from, { throwIfNoEntry: false })?.isDirectory() ?? isElsewhere(from))) {
    const store = await openStore(terminal, from, { access: 'read' })
    try {
      yield* exportLines(store, signal, undefined, run => void damaged.set(run.run, run))
    } finally {
      await store.close()
    }
    return
  }
  const { chunks } = await openInput(from)
  addAbortSignal(signal, chunks)
  const decoder = new NdjsonDecoder<unknown>({ maxLineBytes })
  try {
    for await (const bytes of chunks) yield* decoder.push(bytes)
    yield* decoder.flush()
  } finally {
    chunks.destroy()
  }
}

/** The hash that an export was made with shows in its ids. */
function formatOf(value: unknown): ObjectFormat | undefined {
  const run = typeof value === 'object' && value !== null && 'run' in value ? value.run : undefined
  return typeof run !== 'string' ? undefined : run.length === 64 ? 'sha256' : run.length === 40 ? 'sha1' : undefined
}

class Importer implements ImportTarget {
  readonly store: Store
  readonly queue: AppendQueue
  readonly #terminal: Terminal
  /** Runs of the source that cannot be read to their end. */
  readonly #damaged: Map<string, LeftOut>
  readonly #machines = new Map<string, MachineRecord>()
  #run: RunImport | undefined
  /** A run of which nothing more is taken: what was wrong with it is said already. */
  #skipped: string | undefined
  #outcomes: ImportOutcome[] = []
  #lines = 0
  runs = 0
  unchanged = 0
  units = 0
  failed = 0

  static async open(
    terminal: Terminal,
    damaged: Map<string, LeftOut>,
    location: string,
    objectFormat: ObjectFormat | undefined,
  ): Promise<Importer> {
    return new Importer(terminal, damaged, await openStore(terminal, location, { access: 'create', objectFormat }))
  }

  private constructor(terminal: Terminal, damaged: Map<string, LeftOut>, store: Store) {
    this.#terminal = terminal
    this.#damaged = damaged
    this.store = store
    this.queue = new AppendQueue(store)
  }

  /** Takes a line. @throws IMPORT_INVALID for what is no line of an export at all */
  async take(value: unknown): Promise<void> {
    this.#lines++
    if (!isLine(value)) {
      throw new XMachinesError(
        'IMPORT_INVALID',
        `Record ${this.#lines} is no line of an export. Give what \`xmachines export\` printed.`,
        {
          details: { record: this.#lines },
        },
      )
    }
    const { run } = value
    if (this.#run !== undefined && this.#run.run !== run) this.#cut(this.#run)
    try {
      if ('beside' in value) await this.#endRun(value)
      else await this.#unit(value)
    } catch (thrown) {
      if (!XMachinesError.is(thrown, 'IMPORT_INVALID') && !XMachinesError.is(thrown, 'IMPORT_DIFFERS')) throw thrown
      if (this.#run === undefined) this.done({ run, ...namesOf(value), created: false, units: 0, error: thrown })
      else this.#run.fail(thrown)
      this.#run = undefined
      this.#skipped = run
    }
    if (this.#outcomes.length > 0) await this.#report()
  }

  async end(): Promise<void> {
    if (this.#run !== undefined) this.#cut(this.#run)
    for (const { run, key = null, namespace = '', error } of this.#damaged.values())
      this.done({ run, key, namespace, created: false, units: 0, error })
    await this.queue.flush()
    await this.#report()
  }

  close(): Promise<void> {
    return this.store.close()
  }

  done(outcome: ImportOutcome): void {
    this.#outcomes.push(outcome)
  }

  async machine(oid: string): Promise<MachineRecord | undefined> {
    const known = this.#machines.get(oid) ?? (await this.store.machine(oid))
    if (known !== undefined) this.#machines.set(oid, known)
    return known
  }

  async #unit(line: UnitLine): Promise<void> {
    const { machineRecord: record, run } = line
    if (record !== undefined) {
      checkMachine(line, record, this.store.objectFormat)
      this.#machines.set(record.oid, record)
    }
    if (this.#run !== undefined) await this.#run.unit(line)
    else if (this.#skipped !== run) {
      this.#skipped = undefined
      this.#run = await RunImport.begin(this, line)
    }
  }

  async #endRun(line: BesideLine): Promise<void> {
    const run = this.#run
    this.#run = undefined
    if (run !== undefined) await run.end(line)
    else if (this.#skipped !== line.run) throw invalid(line.run, 0, 'Its end comes without its units')
  }

  /** The export of a run stops in the middle: the command was interrupted, then or now. */
  #cut(run: RunImport): void {
    this.#run = undefined
    if (this.#terminal.signal.aborted) return
    const damage = this.#damaged.get(run.run)
    this.#damaged.delete(run.run)
    run.fail(
      damage?.error ??
        new XMachinesError('IMPORT_INVALID', `The export stops in the middle of run ${run.run}. Export it again.`, {
          details: { run: run.run },
        }),
    )
  }

  async #report(): Promise<void> {
    const outcomes = this.#outcomes
    this.#outcomes = []
    for (const { error, ...outcome } of outcomes) {
      this.runs++
      this.units += outcome.units
      if (error !== undefined) this.failed++
      else if (!outcome.created && outcome.units === 0) this.unchanged++
      if (error !== undefined) this.#terminal.fail(error)
      await this.#terminal.print({ ...outcome, ...(error === undefined ? {} : { error: error.toJSON() }) }, () => {
        const name = `${shortId(outcome.run)} (${printable(`${outcome.namespace}/${outcome.key ?? '-'}`)})`
        return error !== undefined || outcome.units === 0 ? undefined : `${name}: ${counted(outcome.units, 'unit')}`
      })
    }
  }
}

/** What a run is called, as far as the line tells. */
function namesOf(line: UnitLine | BesideLine): { readonly key: string | null; readonly namespace: string } {
  const { key, namespace }: Partial<Record<string, unknown>> = { ...('creation' in line ? line.creation : undefined) }
  return { key: typeof key === 'string' ? key : null, namespace: typeof namespace === 'string' ? namespace : '' }
}

function isLine(value: unknown): value is UnitLine | BesideLine {
  if (typeof value !== 'object' || value === null || !('run' in value) || typeof value.run !== 'string') return false
  if ('beside' in value) return isObject(value.beside)
  const { seq, at, events, origin, id } = value as Partial<Record<keyof UnitLine, unknown>>
  return (
    Number.isSafeInteger(seq) &&
    typeof at === 'number' &&
    typeof id === 'string' &&
    Array.isArray(events) &&
    typeof origin === 'object' &&
    origin !== null
  )
}
