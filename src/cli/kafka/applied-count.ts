import type { MeasuredSpan, Telemetry } from '../../actors/contracts/telemetry.ts'

const span: MeasuredSpan = { trace: undefined, end() {} }

/** Counts the records that became units here. What a topic's offsets would tell has gaps: transactions and compaction leave them. */
export class AppliedCount implements Telemetry {
  count = 0

  unit({ origin }: Parameters<Telemetry['unit']>[0]): ReturnType<Telemetry['unit']> {
    const isRecord = origin.kind === 'outside'
    return {
      ...span,
      decided() {},
      durable: seq => {
        // The first unit is the run's creation, whatever it came with.
        if (isRecord && seq > 0) this.count++
      },
    }
  }

  attempt(): ReturnType<Telemetry['attempt']> {
    return { ...span, within: work => work() }
  }

  delivery(): MeasuredSpan {
    return span
  }

  within<T>(_: unknown, work: () => T): T {
    return work()
  }

  append(): () => void {
    return () => {}
  }

  residents(): void {}

  leases(): () => void {
    return () => {}
  }

  fenced(): void {}
  drained(): void {}
  lost(): void {}
}
