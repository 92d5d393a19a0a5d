/** A fenced block of code of a page. */
export interface Block {
  /** ts, sh, text … */
  readonly language: string
  /** What follows the language: `run`, `run exit=CODE`, or `file=NAME`. */
  readonly mark: string
  readonly text: string
  /** From 1. */
  readonly line: number
}

/** The fenced blocks of a Markdown page, in order. */
export function blocksOf(page: string): readonly Block[] {
  const blocks: Block[] = []
  let open:
    | { readonly language: string; readonly mark: string; readonly line: number; readonly lines: string[] }
    | undefined
  page.split('\n').forEach((line, index) => {
    const fence = /^```(\w*) *(.*)$/.exec(line)
    if (fence === null) open?.lines.push(line)
    else if (open === undefined) open = { language: fence[1]!, mark: fence[2]!, line: index + 1, lines: [] }
    else {
      const { lines, ...rest } = open
      blocks.push({ ...rest, text: `${lines.join('\n')}\n` })
      open = undefined
    }
  })
  return blocks
}

/** A block that is run, with what the page says that it prints. */
export interface Sample {
  readonly block: Block
  /** How it ends. */
  readonly exit: number
  readonly prints: string | undefined
}

/** What a page asks to be run, in order. What a `text` block right after it says is what it prints. */
export function samplesOf(blocks: readonly Block[]): readonly Sample[] {
  return blocks.flatMap((block, index) => {
    const run = /^run(?: exit=(\d+))?$/.exec(block.mark)
    if (run === null) return []
    const next = blocks[index + 1]
    return [{ block, exit: Number(run[1] ?? 0), prints: next?.language === 'text' ? next.text : undefined }]
  })
}

/** The files that a page gives names. */
export function filesIn(blocks: readonly Block[]): Record<string, string> {
  const named = blocks.flatMap(({ mark, text }) => {
    const name = /^file=(\S+)$/.exec(mark)?.[1]
    return name === undefined ? [] : [[name, text] as const]
  })
  return Object.fromEntries(named)
}

/** Whether the text is what the page says, where `…` stands for anything within a line. */
export function fits(printed: string, said: string): boolean {
  const pattern = said
    .split('…')
    .map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('[^\\n]*')
  return new RegExp(`^${pattern}$`).test(printed)
}
