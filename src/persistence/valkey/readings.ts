import type { MachineRecord, Mail } from '../../actors/contracts/store.ts'
import type { HeadsQuery, ServerReadings, WrittenHead } from '../server/backend.ts'
import { damagedRow, type WrittenRow, type WrittenUnit } from '../server/run-row.ts'
import { inboxPage } from '../waiting.ts'
import { type Connection, script } from './connection.ts'
import { type Keys, named, ofMember, pinName, unnamed } from './keys.ts'
import { readRowText, readStanding, readUnit, type Standing } from './row-text.ts'
import { headsScript, unitsScript } from './scripts/reading.ts'

const scripts = { heads: script(headsScript), units: script(unitsScript) }

/** How many characters of units, and how many of them, are read at once. */
const unitsText = 1 << 18
const unitsCount = 1024
/** How many names are looked through at once for those of a namespace. */
const namesAtOnce = 1024

/** The readings of a store. */
export class Readings implements ServerReadings {
  readonly #connection: Connection
  readonly #keys: Keys

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection
    this.#keys = keys
  }

  async rows(runs: readonly string[]): Promise<readonly WrittenRow[]> {
    const found = await Promise.all(
      runs.map(
        run => this.#connection.ask('hmget', [this.#keys.run(run), 'row', 'name']) as Promise<(string | null)[]>,
      ),
    )
    return found.flatMap(([row, name], at) => {
      if (row === null || row === undefined) return []
      try {
        return [readRowText(runs[at]!, row, name)]
      } catch (error) {
        throw damagedRow(runs[at]!, error)
      }
    })
  }

  /** Where those of the runs stand that are there. */
  async standings(runs: readonly string[]): Promise<ReadonlyMap<string, Standing>> {
    const rows = await Promise.all(runs.map(run => this.#connection.ask('hget', [this.#keys.run(run), 'row'])))
    return new Map(rows.flatMap((row, at) => (row === null ? [] : [[runs[at]!, readStanding(row as string)] as const])))
  }

  async head(run: string, mail: number): Promise<WrittenHead | undefined> {
    const [head] = await this.#heads([run], mail)
    return head
  }

  async heads(query: HeadsQuery): Promise<readonly WrittenHead[]> {
    const { after, inclusive, prefix, namespace, limit } = query
    const heads: WrittenHead[] = []
    // A member is a run and what follows it: a line break, which is before all that a longer run could have there.
    let from = inclusive ? `[${named(after)}` : `(${named(after)}\u000b`
    while (heads.length < limit) {
      const count = namespace === undefined ? limit - heads.length : namesAtOnce
      const page = (await this.#connection.ask('zrangebylex', [
        this.#keys.runs,
        from,
        '+',
        'limit',
        0,
        count,
      ])) as string[]
      const members = page.map(ofMember)
      const end = members.findIndex(({ run }) => !run.startsWith(prefix))
      const fitting = members
        .slice(0, end < 0 ? undefined : end)
        .filter(member => namespace === undefined || member.namespace === namespace)
        .slice(0, limit - heads.length)
      heads.push(
        ...(await this.#heads(
          fitting.map(({ run }) => run),
          inboxPage,
        )),
      )
      if (page.length < count || end >= 0) break
      from = `(${page.at(-1)}`
    }
    return heads
  }

  async pinned(namespace: string, key: string): Promise<string | undefined> {
    const run = await this.#connection.ask('hget', [this.#keys.pins, pinName(namespace, key)])
    return run === null ? undefined : unnamed(run as string)
  }

  async units(run: string, from: number, to: number): Promise<readonly WrittenUnit[]> {
    const range = [`${from + 1}-0`, `${to + 1}-0`, unitsText, unitsCount]
    const entries = await this.#connection.run(scripts.units, [this.#keys.units(run)], () => range)
    return (entries as [string, [field: string, text: string]][]).map(([entry, [, text]]) => readUnit(entry, text))
  }

  async machine(oid: string): Promise<MachineRecord | undefined> {
    const text = await this.#connection.ask('hget', [this.#keys.machines, oid])
    return text === null ? undefined : (JSON.parse(text as string) as MachineRecord)
  }

  async #heads(runs: readonly string[], mail: number): Promise<WrittenHead[]> {
    if (runs.length === 0) return []
    const keys = runs.flatMap(run => [this.#keys.run(run), this.#keys.inbox(run)])
    const found = (await this.#connection.run(scripts.heads, keys, () => [
      Math.min(mail, Number.MAX_SAFE_INTEGER),
    ])) as HeadText[]
    return found.flatMap((head, at) => (head.length === 0 ? [] : [readHead(runs[at]!, head)]))
  }
}

type HeadText = [row?: string, name?: string | null, mail?: string[], waiting?: number | string]

function readHead(run: string, [row, name, oldest, waiting]: HeadText): WrittenHead {
  try {
    const inbox = oldest!.map(text => JSON.parse(text) as Mail)
    return { run, row: readRowText(run, row!, name), inbox, waiting: Number(waiting) }
  } catch (error) {
    return { run, row: damagedRow(run, error), inbox: [], waiting: 0 }
  }
}
