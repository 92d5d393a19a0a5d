import type { JsonValue } from '../../actors/contracts/json.ts'
import { type WrittenBeside, writtenBeside } from '../beside-text.ts'
import { emptyBeside } from '../judge.ts'
import type { WrittenMarks } from './mail-marks.ts'
import type { ForkAt, Row, WaitingMail } from './row.ts'

/** What a row's JSON in the heap says. What is absent is as in a new run. */
export interface HeapEntry {
  readonly key?: string
  readonly value?: JsonValue
  readonly beside?: WrittenBeside
  /** Places of the mail that waits, with its keys. */
  readonly waiting?: readonly WrittenWaiting[]
  readonly mails?: WrittenMarks
  readonly fork?: ForkAt
}

type WrittenWaiting = readonly [position: number, sender: string, seq: number, index: number, failure?: boolean]

/** The heap's JSON of a row. */
export function heapText({ namespace, key, value, beside, waiting, mails, fork }: Row): string {
  return JSON.stringify({
    key,
    value,
    beside: beside === emptyBeside ? undefined : writtenBeside(beside, { namespace, key }),
    waiting: waiting.size === 0 ? undefined : waiting.first().map(writtenWaiting),
    mails,
    fork,
  })
}

function writtenWaiting({ position, sender, seq, index, failure }: WaitingMail): WrittenWaiting {
  return failure === undefined ? [position, sender, seq, index] : [position, sender, seq, index, failure]
}

/** The mail that waits, as it was. */
export function readWaiting(waiting: readonly WrittenWaiting[] = []): WaitingMail[] {
  return waiting.map(([position, sender, seq, index, failure]) =>
    failure === undefined ? { position, sender, seq, index } : { position, sender, seq, index, failure },
  )
}
