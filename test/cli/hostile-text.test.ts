import { afterEach, describe, expect, it, vi } from 'vitest'
import { XMachinesError } from '../../src/actors/errors.ts'
import { notesText } from '../../src/cli/log-line.ts'
import { Terminal } from '../../src/cli/terminal.ts'
import { printable } from '../../src/cli/text.ts'
import { xmachines } from './command.ts'

/** Colours, a window's title, the clipboard, another line, the other direction, and what takes no room. */
const hostile = 'a\u001b[2J\u001b]52;c;eA\u0007\r\u009b1mb\u202ec\u200bd\u200de\u2060f\ufeffg\u00adh\u{e0041}i'
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const raw = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]|\udb40/

const terminalOf = (options: { json: boolean; debug: boolean }): Terminal =>
  new Terminal({ ...options, signal: new AbortController().signal })

function written(stream: 'stdout' | 'stderr'): { readonly text: () => string } {
  const spy = vi.spyOn(process[stream], 'write').mockImplementation((_text, told?: unknown) => {
    if (typeof told === 'function') told()
    return true
  })
  return { text: () => spy.mock.calls.map(([text]) => text).join('') }
}

afterEach(() => vi.restoreAllMocks())

describe('text from outside', () => {
  it('shows all that is in it, and what people write stays', () => {
    expect(printable(hostile)).not.toMatch(raw)
    expect(JSON.parse(`"${printable(hostile)}"`)).toBe(hostile)
    expect(printable('ключ 🔑 日本語 e\u0301')).toBe('ключ 🔑 日本語 e\u0301')
  })

  it('is the same JSON with --json, without what a terminal obeys', async () => {
    const out = written('stdout')
    const terminal = terminalOf({ json: true, debug: false })
    await terminal.print({ [hostile]: hostile }, () => undefined)
    await terminal.flush()
    expect(out.text()).not.toMatch(raw)
    expect(JSON.parse(out.text())).toEqual({ [hostile]: hostile })
  })

  it('of an error is as harmless with --debug', () => {
    const err = written('stderr')
    const cause = new Error(hostile)
    terminalOf({ json: false, debug: true }).fail(new XMachinesError('RUN_UNKNOWN', hostile, { cause }))
    expect(err.text()).toContain('caused by Error: a')
    expect(err.text()).toMatch(/\n +at /)
    expect(err.text()).not.toMatch(raw)
  })

  it.each([null, 'text', 7])('says why something failed only where that is told: error %j', error => {
    const event = { type: 'xmachines.reject', error }
    const origin = { kind: 'effect', actor: ['job'], entered: 1 } as const
    const unit = { seq: 2, at: 0, run: '', id: '', events: [event], origin, outputs: [] }
    expect(notesText(unit, {})).toBe('')
  })

  it('of a command that there is not is, too', async () => {
    const { code, stderr } = await xmachines(hostile)
    expect([code, stderr]).toEqual([2, expect.stringContaining('USAGE_INVALID: ')])
    expect(stderr).not.toMatch(raw)
  })
})
