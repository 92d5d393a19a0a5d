/** Three lags of a partition, in offsets. Where the broker leaves gaps, they are more than there are records. */
export interface Lags {
  readonly lag: number | undefined
  readonly fetchLag: number | undefined
  readonly backlog: number | undefined
}

/**
 * How far a partition is behind: `lag` is `fetchLag` + `backlog`.
 *
 * @param committed the group's commit, as far as is known
 * @param position behind the last record that was handed over
 * @param end the partition's, when it was last asked for: what was handed over since is behind it
 */
export function lagsOf(committed: number | undefined, position: number | undefined, end: number | undefined): Lags {
  const from = committed ?? position
  if (from === undefined) return { lag: undefined, fetchLag: undefined, backlog: undefined }
  // A commit may be beyond the last record: what is between them is none.
  const next = Math.max(position ?? from, from)
  const last = end === undefined ? undefined : Math.max(end, next)
  return {
    lag: last === undefined ? undefined : last - from,
    fetchLag: last === undefined ? undefined : last - next,
    backlog: committed === undefined ? undefined : next - from,
  }
}
