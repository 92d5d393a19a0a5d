import type { BrokerConsumer } from '../../actors/contracts/broker.ts'
import type { Terminal } from '../terminal.ts'
import { counted } from '../text.ts'

/** How a member of a group is doing. */
export interface MemberStanding {
  /** Partitions that it holds. */
  readonly leases: number
  /** What it has applied since its start. */
  readonly events: number
  /** What it has refused since its start. */
  readonly refused: number
}

/** How often a line is said where no person watches, ms; how often it is drawn anew. */
const sayEvery = 5000
const drawEvery = 500

/** What the whole group has not settled yet, by its commits. */
export async function groupLag(consumer: BrokerConsumer, topic: string): Promise<number> {
  const [ends, committed] = await Promise.all([consumer.endOffsets(topic), consumer.committedOffsets(topic)])
  return [...ends].reduce((sum, [partition, end]) => sum + Math.max(0, end - (committed.get(partition) ?? 0)), 0)
}

/** Shows on stderr how a member does: one line on a terminal, else a line every few seconds. Ends with `stop`. */
export function showMember(
  terminal: Terminal,
  look: () => MemberStanding,
  lagNow: () => Promise<number>,
): { stop(): void } {
  const isWatched = process.stderr.isTTY
  let lag: number | undefined
  let last = { at: performance.now(), events: 0 }
  let asking = false
  const show = (): void => {
    const { leases, events, refused } = look()
    const now = performance.now()
    const rate = Math.round(((events - last.events) * 1000) / Math.max(1, now - last.at))
    last = { at: now, events }
    const parts = [
      counted(leases, 'lease'),
      `${rate.toLocaleString('en-US')} events/s`,
      `lag ${lag === undefined ? 'unknown' : lag.toLocaleString('en-US')}`,
      ...(refused === 0 ? [] : [`${refused.toLocaleString('en-US')} refused`]),
    ]
    if (isWatched) process.stderr.write(`\r\u001b[K${parts.join(', ')}`)
    else terminal.say(parts.join(', '))
  }
  const turn = async (): Promise<void> => {
    if (asking) return
    asking = true
    // A cluster that does not answer now has its own line.
    lag = await lagNow().catch(() => lag)
    asking = false
    if (!stopped) show()
  }
  let stopped = false
  const timer = setInterval(() => void turn(), isWatched ? drawEvery : sayEvery)
  if (isWatched) terminal.clearLine = () => process.stderr.write('\r\u001b[K')
  return {
    stop() {
      stopped = true
      clearInterval(timer)
      terminal.clearLine()
      terminal.clearLine = () => {}
    },
  }
}
