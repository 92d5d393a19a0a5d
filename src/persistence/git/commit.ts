/** What is read of a commit. */
export interface Commit {
  readonly tree: string
  readonly parents: readonly string[]
  /** The first line of its message. */
  readonly subject: string
  /** All of it. */
  readonly text: string
}

/** Reads a commit. `undefined`: it is none. */
export function parseCommit(bytes: Uint8Array): Commit | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()
  const head = /^tree ([0-9a-f]+)\n((?:parent [0-9a-f]+\n)*)/.exec(text)
  if (head === null) return undefined
  const start = text.indexOf('\n\n', head[0].length - 1)
  if (start < 0) return undefined
  const end = text.indexOf('\n', start + 2)
  const parents =
    head[2] === ''
      ? []
      : head[2]!
          .trimEnd()
          .split('\n')
          .map(line => line.slice('parent '.length))
  return { tree: head[1]!, parents, subject: text.slice(start + 2, end < 0 ? undefined : end), text }
}

const eventsName = Buffer.from('100644 events.json\0')
const unitName = Buffer.from('100644 unit.json\0')
const eventsAt = eventsName.length

/** The files of a tree that is a unit's. `undefined`: it is not. @param width bytes of an id */
export function parseUnitTree(
  tree: Uint8Array,
  width: number,
): { readonly events: string; readonly unit: string } | undefined {
  const bytes = Buffer.from(tree.buffer, tree.byteOffset, tree.length)
  const unitAt = eventsAt + width
  const idAt = unitAt + unitName.length
  const isUnitTree =
    bytes.length === idAt + width &&
    bytes.compare(eventsName, 0, eventsAt, 0, eventsAt) === 0 &&
    bytes.compare(unitName, 0, unitName.length, unitAt, idAt) === 0
  return isUnitTree ? { events: bytes.toString('hex', eventsAt, unitAt), unit: bytes.toString('hex', idAt) } : undefined
}

/** The files of a tree, by name. `undefined`: it is no tree. @param width bytes of an id */
export function parseTree(tree: Uint8Array, width: number): ReadonlyMap<string, string> | undefined {
  const bytes = Buffer.from(tree.buffer, tree.byteOffset, tree.length)
  const files = new Map<string, string>()
  for (let at = 0; at < bytes.length; ) {
    const blank = bytes.indexOf(32, at)
    const end = blank < 0 ? -1 : bytes.indexOf(0, blank)
    if (end < 0 || end + 1 + width > bytes.length) return undefined
    files.set(bytes.toString('utf8', blank + 1, end), bytes.toString('hex', end + 1, end + 1 + width))
    at = end + 1 + width
  }
  return files
}

/** Where in its run a commit stands, by its subject: a unit begins with its seq. `undefined`: it is no commit of a run. */
export function seqOf({ subject }: Commit): number | undefined {
  const unit = /^(\d{1,15})(?: |$)/.exec(subject)
  if (unit !== null) return Number(unit[1])
  if (subject.startsWith('run ')) return 0
  const fork = /^fork at (\d{1,15}): /.exec(subject)
  return fork === null ? undefined : Number(fork[1])
}
