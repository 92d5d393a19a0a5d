import { Command } from 'commander'
import { batchesOf } from '../actors/batch-stream.ts'
import type { RunHead, Store } from '../actors/contracts/store.ts'
import { parentsFirst } from './export-order.ts'
import { findRun } from './find-run.ts'
import { withStore } from './open-store.ts'
import { perform } from './perform.ts'
import type { Terminal } from './terminal.ts'
import { counted } from './text.ts'
import { besideLine, forkLine, type UnitLine, unitLine } from './unit-line.ts'

interface ExportOptions {
  readonly run?: string
  readonly namespace?: string
}

/** `xmachines export STORE`: every unit as a line of JSON. */
export function exportCommand(): Command {
  return new Command('export')
    .description('print every unit as a line of JSON, which `import` reads')
    .argument('<store>', 'a directory')
    .option('--run <run>', 'only this run: a key, an id, or the beginning of an id')
    .option('--namespace <name>', 'where to look for the key')
    .action(perform(exportStore))
}

async function exportStore(terminal: Terminal, location: string, { run, namespace }: ExportOptions): Promise<number> {
  const { signal } = terminal
  await withStore(terminal, location, { access: 'read' }, async store => {
    const runs = run === undefined ? parentsFirst(store, signal) : [await findRun(store, run, { namespace, signal })]
    const exporter = new Exporter(store, terminal)
    for await (const head of runs) await exporter.run(head)
    terminal.say(`${counted(exporter.runs, 'run')}, ${counted(exporter.lines, 'line')}.`)
  })
  return 0
}

class Exporter {
  runs = 0
  lines = 0
  readonly #store: Store
  readonly #terminal: Terminal
  /** Machines that are out: each once. */
  readonly #machines = new Set<string>()

  constructor(store: Store, terminal: Terminal) {
    this.#store = store
    this.#terminal = terminal
  }

  async run(head: RunHead): Promise<void> {
    const { fork } = head
    const { signal } = this.#terminal
    if (fork !== undefined) await this.#unit(forkLine({ ...head, fork }))
    const from = fork === undefined ? 0 : fork.seq + 1
    if (from <= head.seq) {
      for await (const batch of batchesOf(this.#store.read(head.run, { from, to: head.seq, signal })))
        for (const unit of batch) await this.#unit(unitLine(unit))
    }
    await this.#print(besideLine(head))
    this.runs++
  }

  async #unit(line: UnitLine): Promise<void> {
    const oid = line.machine ?? line.creation?.machine
    if (oid === undefined || this.#machines.has(oid)) return this.#print(line)
    this.#machines.add(oid)
    await this.#print({ ...line, machineRecord: await this.#store.machine(oid) })
  }

  /** A line of an export is JSON, whether `--json` was given or not. */
  #print(line: object): Promise<void> {
    this.lines++
    const text = JSON.stringify(line)
    return this.#terminal.printLine(text)
  }
}
