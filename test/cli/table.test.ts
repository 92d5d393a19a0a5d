import { describe, expect, it, vi } from 'vitest'
import { displayWidth } from '../../src/cli/display-width.ts'
import { Table } from '../../src/cli/table.ts'
import { Terminal } from '../../src/cli/terminal.ts'
import { bothSides, printable } from '../../src/cli/text.ts'

/** The lines of a table of keys and states. */
async function linesOf(keys: readonly string[]): Promise<readonly string[]> {
  const lines: string[] = []
  const write = vi.spyOn(process.stdout, 'write').mockImplementation(((text: string, done: () => void) => {
    lines.push(...text.split('\n').filter(line => line !== ''))
    done()
  }) as never)
  try {
    const terminal = new Terminal({ json: false, debug: false, signal: new AbortController().signal })
    const table = new Table(terminal, ['KEY', 'STATE'])
    for (const key of keys) await table.add({}, () => [key, 'idle'])
    await table.end()
    await terminal.flush()
  } finally {
    write.mockRestore()
  }
  return lines
}

/** Where the second column stands, on a terminal. */
const second = (line: string): number => displayWidth(line.slice(0, line.indexOf('idle')))

describe('a table', () => {
  it('is aligned as a terminal shows it, whatever is in its cells', async () => {
    const lines = await linesOf(['a', 'ключ', '日本語', 'ｆｕｌｌ', '👩‍👩‍👧', 'é', '🇩🇪 ✔️', 'zero\u200bwidth'])
    expect(new Set(lines.slice(1).map(second))).toEqual(new Set([11]))
  })

  it('is aligned anew from a wider row on, where it is long', async () => {
    const lines = await linesOf(Array.from({ length: 300 }, (_, index) => (index === 200 ? 'much wider' : `${index}`)))
    expect(lines.slice(1).map(second)).toEqual(Array.from({ length: 300 }, (_, index) => (index < 200 ? 5 : 12)))
  })

  it.each([
    ['abc', 3],
    ['日本', 4],
    ['👩‍👩‍👧', 2],
    ['🇩🇪', 2],
    ['e\u0301', 1],
    ['\u200b', 0],
    ['', 0],
  ])('%j takes %i columns', (text, width) => expect(displayWidth(text)).toBe(width))
})

it('shows no text from outside that a terminal would obey', () => {
  expect(printable('a\u001b[31mb\u202ec\u2066d\u200ee\n')).toBe('a\\u001b[31mb\\u202ec\\u2066d\\u200ee\\u000a')
})

it('shows of long values what is at the place that differs', () => {
  const value = (last: number) => ({ long: 'x'.repeat(500), last })
  expect(bothSides(value(1), value(2), 400)).toEqual(['$.last: 1', '$.last: 2'])
  expect(bothSides({ last: 1 }, { last: 2 }, 400)).toEqual(['{"last":1}', '{"last":2}'])
})
