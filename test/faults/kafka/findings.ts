import type { Unit } from 'xmachines'
import type { ReadRecord } from './topic-reader.ts'
import type { Acknowledged } from './traffic.ts'

const kinds = ['lost', 'twice', 'disordered', 'invented', 'stale', 'ahead', 'divergent', 'unsettled'] as const

type Kind = (typeof kinds)[number]

/** What is wrong, by kind, and how much was looked at. */
export class Findings {
  readonly wrong: string[] = []
  readonly #counts = new Map<Kind, number>(kinds.map(kind => [kind, 0]))
  records = 0
  applied = 0
  results = 0
  deadLetters = 0

  say(kind: Kind, what: string): void {
    this.#counts.set(kind, this.#counts.get(kind)! + 1)
    if (this.wrong.length < 50) this.wrong.push(`${kind}: ${what}`)
  }

  get summary(): string {
    return [...this.#counts].map(([kind, count]) => `${count} ${kind}`).join(', ')
  }

  /** What was acknowledged is in the topic, once, and in the order in which it was sent. */
  topic(
    records: readonly ReadRecord[],
    acknowledged: readonly Acknowledged[],
    committed: readonly string[],
    aborted: readonly string[],
  ): void {
    this.records = records.length
    const at = new Map(records.map(record => [`${record.partition}/${record.offset}`, record]))
    for (const { partition, offset, key, by } of acknowledged) {
      const record = at.get(`${partition}/${offset}`)
      // A batch that was taken the first time is acknowledged without its place.
      if (offset < 0) continue
      if (record === undefined || record.key !== key || (by !== null && eventOf(record) !== by))
        this.say(
          'lost',
          `${by} of ${key} was acknowledged at ${partition}/${offset}, where ${JSON.stringify(record)} is`,
        )
    }
    const known = new Map<string, number>()
    for (const record of records) {
      const by = eventOf(record)
      if (by !== null) known.set(by, (known.get(by) ?? 0) + 1)
    }
    for (const [by, count] of known) if (count > 1) this.say('twice', `${by} is in the topic ${count} times`)
    for (const { by } of acknowledged) if (by !== null && !known.has(by)) this.say('lost', `${by} is not in the topic`)
    for (const by of committed) if (!known.has(by)) this.say('lost', `${by} was committed, and is not in the topic`)
    for (const by of aborted) if (known.has(by)) this.say('invented', `${by} was aborted, and is in the topic`)
    for (const [key, events] of this.eventsByKey(records)) {
      const numbers = events.map(({ by }) => Number(by.replace(/^t/, '')))
      if (numbers.some((number, index) => number <= numbers[index - 1]!))
        this.say('disordered', `the topic has ${key} as ${numbers}`)
    }
  }

  /** Committed to the end, and not beyond. */
  commits(committed: ReadonlyMap<number, number>, ends: ReadonlyMap<number, number>): void {
    for (const [partition, end] of ends) {
      const offset = committed.get(partition)!
      if (offset > end) this.say('ahead', `partition ${partition} is committed to ${offset} of ${end}`)
      if (offset < end) this.say('unsettled', `partition ${partition} is committed to ${offset} of ${end}`)
    }
  }

  /** One for each record that no run takes, whole, and none for others. */
  letters(topic: string, records: readonly ReadRecord[], letters: readonly ReadRecord[]): void {
    const found = new Map<string, ReadRecord>()
    for (const letter of letters) found.set(letter.headers['xmachines-id']!.split('/').slice(1).join('/'), letter)
    this.deadLetters = found.size
    for (const { partition, offset, key, value } of records.filter(record => eventOf(record) === null)) {
      const name = `${topic}/${partition}/${offset}`
      const letter = found.get(name)
      if (letter === undefined) this.say('lost', `${name} has no dead letter`)
      else if (letter.key !== key || letter.value !== value)
        this.say('invented', `the dead letter of ${name} is ${JSON.stringify(letter)}`)
      found.delete(name)
    }
    for (const name of found.keys()) this.say('invented', `a dead letter of ${name}`)
  }

  keys(expected: readonly string[], found: readonly string[]): void {
    for (const key of expected) if (!found.includes(key)) this.say('lost', `nothing of ${key} is in the store`)
    if (new Set(found).size < found.length) this.say('twice', 'a key has two runs')
  }

  /** What a run took is what the topic has of its key. */
  history(
    key: string,
    expected: readonly { readonly by: string; readonly offset: number }[],
    units: readonly Unit[],
  ): void {
    const taken = units.flatMap(({ events }) => events.map(event => String(event.by)))
    this.applied += taken.length
    const wanted = expected.map(({ by }) => by)
    if (taken.join() !== wanted.join()) {
      const kind = new Set(taken).size < taken.length ? 'twice' : taken.length < wanted.length ? 'lost' : 'disordered'
      this.say(kind, `${key} took ${taken}, the topic has ${wanted}`)
    }
    const epochs = units.map(({ epoch = 0 }) => epoch)
    if (epochs.some((epoch, index) => epoch < epochs[index - 1]!))
      this.say('stale', `${key} was written under ${epochs}`)
  }

  /** Each at least once, the first time in order, whatever was sent again the same. */
  outputs(key: string, units: readonly Unit[], sent: readonly ReadRecord[]): void {
    const first = new Map<string, string>()
    for (const { headers, value, key: to } of sent) {
      const id = headers['xmachines-id']!
      if (first.has(id) && first.get(id) !== value)
        this.say('invented', `${id} was sent as ${first.get(id)} and ${value}`)
      if (to !== key) this.say('invented', `${id} of ${key} was sent to ${to}`)
      if (!first.has(id)) first.set(id, value!)
    }
    this.results += first.size
    const wanted = units.flatMap(({ run, seq, outputs }) =>
      outputs.map((event, index) => [`${run}/${seq}/${index}`, event] as const),
    )
    const missing = wanted.filter(([id]) => !first.has(id))
    if (missing.length > 0) return this.say('lost', `results of ${key}: ${missing.map(([id]) => id)}`)
    if ([...first.keys()].join() !== wanted.map(([id]) => id).join())
      this.say('disordered', `results of ${key}: ${[...first.keys()]}`)
    for (const [id, event] of wanted)
      if (JSON.stringify(JSON.parse(first.get(id)!).event) !== JSON.stringify(event))
        this.say('invented', `${id} says ${first.get(id)}`)
  }

  eventsByKey(records: readonly ReadRecord[]): Map<string, { readonly by: string; readonly offset: number }[]> {
    const events = new Map<string, { by: string; offset: number }[]>()
    for (const record of records) {
      const by = eventOf(record)
      if (by === null) continue
      const own = events.get(record.key!) ?? []
      events.set(record.key!, own)
      own.push({ by, offset: record.offset })
    }
    return events
  }

  resultsByRun(results: readonly ReadRecord[]): Map<string, ReadRecord[]> {
    const runs = new Map<string, ReadRecord[]>()
    for (const result of results) {
      const [run] = result.headers['xmachines-id']!.split('/') as [string]
      const own = runs.get(run) ?? []
      runs.set(run, own)
      own.push(result)
    }
    return runs
  }
}

/** What a run would know the event by; `null`: no run takes it. */
function eventOf({ key, value }: ReadRecord): string | null {
  if (key === null || value === null) return null
  try {
    const { type, by } = JSON.parse(value)
    return type === 'ADD' ? by : null
  } catch {
    return null
  }
}
