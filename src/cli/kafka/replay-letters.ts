import { XMachinesError } from '../../actors/errors.ts'
import type { KafkaConnection } from '../../transports/kafka/options.ts'
import { Table } from '../table.ts'
import { type Terminal, usage } from '../terminal.ts'
import { counted, printable } from '../text.ts'
import { kafkaConnection } from './connection.ts'
import { LeftOutParts } from './left-out.ts'
import { letterHeadings, letterLine, letterRow, sourceText } from './letter-text.ts'
import { type Letters, lettersOf, openLetters, type PlacedLetter, replayGroup } from './letters.ts'
import { Redrive } from './redrive.ts'

export interface ReplayLettersOptions {
  readonly kafka: string
  readonly topic: string
  readonly group?: string
  readonly to?: string
  readonly except?: readonly string[]
  readonly limit?: number
  readonly originalTime?: boolean
  readonly dryRun?: boolean
}

/** Letters of one transaction, and their bytes. */
const mostLetters = 500
const mostBytes = 512 * 1024

/** `xmachines dlq replay`. */
export async function replayLetters(terminal: Terminal, options: ReplayLettersOptions): Promise<number> {
  const { topic, to, group = replayGroup(topic), dryRun = false, originalTime = false } = options
  if (to === topic) throw usage('--to is the topic of the dead letters itself: they would never end.')
  const connection = kafkaConnection(terminal, options.kafka)
  const opened = await openLetters(connection, topic, group)
  try {
    const redrive = dryRun ? undefined : await Redrive.open(connection, { topic, group, to, originalTime })
    try {
      return await new Replay(terminal, connection, opened, redrive, options).run()
    } finally {
      await redrive?.close()
    }
  } finally {
    await opened.reader.close()
  }
}

/** One replay: partition by partition, so that what has one key stays in its order. */
class Replay {
  readonly #terminal: Terminal
  readonly #opened: Letters
  readonly #redrive: Redrive | undefined
  readonly #options: ReplayLettersOptions
  readonly #table: Table
  readonly #leftOut: LeftOutParts
  readonly #partitions = new Map<string, readonly number[]>()
  #sent = 0
  #passed = 0
  #others = 0

  constructor(
    terminal: Terminal,
    connection: KafkaConnection,
    opened: Letters,
    redrive: Redrive | undefined,
    options: ReplayLettersOptions,
  ) {
    this.#leftOut = new LeftOutParts(connection)
    this.#terminal = terminal
    this.#opened = opened
    this.#redrive = redrive
    this.#options = options
    this.#table = new Table(terminal, letterHeadings)
  }

  async run(): Promise<number> {
    try {
      for (const [partition] of await this.#opened.ranges()) await this.#replay(partition)
    } finally {
      await this.#leftOut.close()
      await this.#table.end()
    }
    await this.#summarise()
    return 0
  }

  get #isOver(): boolean {
    return this.#terminal.signal.aborted || this.#sent >= (this.#options.limit ?? Number.POSITIVE_INFINITY)
  }

  async #replay(partition: number): Promise<void> {
    // What was replayed is read too: a copy of it may have been written behind.
    const range = (await this.#opened.ranges()).get(partition)!
    let letters: PlacedLetter[] = []
    let bytes = 0
    let next = range.handled
    const flush = async (): Promise<void> => {
      if (next <= range.handled) return
      await this.#redrive?.send({ letters, partition, next })
      for (const letter of letters) await this.#table.add(letterLine(letter), () => letterRow(letter))
      letters = []
      bytes = 0
    }
    for await (const found of lettersOf(this.#opened.reader, partition, range)) {
      if (found.next <= range.handled) continue
      if (this.#isOver) return flush()
      const letter = found.letter && (await this.#whole(found.letter))
      if (found.letter === undefined) this.#others++
      else if (letter === undefined) this.#passed++
      else {
        await this.#checkPlace(letter)
        const size = (letter.value?.length ?? 0) + (letter.key?.length ?? 0)
        // A large one goes alone: together they would be over what the topic takes at once.
        if (letters.length >= mostLetters || bytes + size > mostBytes) await flush()
        letters.push(letter)
        bytes += size
        this.#sent++
      }
      next = found.next
    }
    if (!this.#isOver) next = Math.max(next, range.end)
    await flush()
  }

  /** The letter with all of its record; `undefined`: it is passed over. */
  async #whole(letter: PlacedLetter): Promise<PlacedLetter | undefined> {
    const { except = [] } = this.#options
    if (except.includes(letter.error.code)) return undefined
    try {
      return await this.#leftOut.restore(letter)
    } catch (thrown) {
      if (XMachinesError.is(thrown, 'RECORD_GONE') && except.includes(thrown.code)) return undefined
      throw thrown
    }
  }

  /** Whether the topic still has the partition that the record was in: elsewhere, its key would not be in its order. */
  async #checkPlace(letter: PlacedLetter): Promise<void> {
    const topic = this.#options.to ?? letter.topic
    let partitions = this.#partitions.get(topic)
    if (partitions === undefined)
      this.#partitions.set(topic, (partitions = await this.#opened.reader.partitionsOf(topic)))
    if (partitions.includes(letter.partition)) return
    const { partition } = letter
    throw new XMachinesError(
      'PARTITION_INVALID',
      `The record ${sourceText(letter)} was in partition ${partition}, which ${printable(topic)} has not. Nothing more was sent. Give --to a topic with as many partitions.`,
      { details: { topic, partition, partitions: partitions.length } },
    )
  }

  async #summarise(): Promise<void> {
    const { dryRun = false } = this.#options
    const { aborted: interrupted } = this.#terminal.signal
    const record = { sent: this.#sent, passed: this.#passed, others: this.#others, dryRun, interrupted }
    await this.#terminal.print(record, () => undefined)
    if (this.#terminal.json) return
    const done = dryRun ? 'would be sent' : 'sent again'
    const passed = this.#passed === 0 ? '' : `, ${this.#passed} passed over for good`
    const others =
      this.#others === 0
        ? ''
        : `, ${counted(this.#others, 'record')} that ${this.#others === 1 ? 'is no letter' : 'are no letters'} passed over`
    this.#terminal.say(`${counted(this.#sent, 'record')} ${done}${passed}${others}.`)
  }
}
