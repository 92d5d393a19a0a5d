import type { Report } from './worker.ts'

/** The workers as a table, with what all of them have done. */
export function tableOf(reports: ReadonlyMap<number, Report>, sent: number, perSecond: number): string {
  const rows = [...reports].map(([pid, { leases, residents, outputs, refused }]) => [
    String(pid),
    leases
      .map(({ partition, state }) => (state === 'running' ? `${partition}` : `${partition} (${state})`))
      .join(' ') || '-',
    String(leases.reduce((sum, { lag = 0 }) => sum + lag, 0)),
    `${Math.round(Math.max(0, ...leases.map(({ oldestAge = 0 }) => oldestAge)))} ms`,
    String(residents),
    String(outputs),
    String(refused),
  ])
  const all = [['WORKER', 'PARTITIONS', 'LAG', 'OLDEST', 'IN MEMORY', 'RESULTS', 'REFUSED'], ...rows]
  const widths = all[0]!.map((_, column) => Math.max(...all.map(row => row[column]!.length)))
  const lines = all.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
  return [...lines, `${sent} records sent, ${perSecond} settled a second`].join('\n')
}
