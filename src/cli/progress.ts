import type { Terminal } from './terminal.ts'
import { counted } from './text.ts'

/** How far a command is. */
export interface Progressing {
  /** Of the whole, in bytes. */
  readonly done: number
  /** Bytes of the whole, where it is known. */
  readonly whole: number | undefined
  /** What a person counts. */
  readonly count: number
}

/** How often a line is said where no person watches, ms; how often a bar moves. */
const sayEvery = 5000
const drawEvery = 100

/** Shows on stderr how far a command is: a bar on a terminal, else a line every few seconds. Ends with `stop`. */
export async function showProgress(
  terminal: Terminal,
  unit: string,
  look: () => Progressing,
): Promise<{ stop(): void }> {
  return process.stderr.isTTY ? showBar(terminal, unit, look) : sayLines(terminal, unit, look)
}

async function showBar(terminal: Terminal, unit: string, look: () => Progressing): Promise<{ stop(): void }> {
  const { SingleBar, Presets } = (await import('cli-progress')).default
  const { whole } = look()
  const format = whole === undefined ? '{count} {unit}  {rate}/s' : '{bar} {percentage}%  {count} {unit}  {rate}/s'
  const bar = new SingleBar(
    { format, stream: process.stderr, clearOnComplete: true, hideCursor: false, gracefulExit: false },
    Presets.shades_classic,
  )
  const began = performance.now()
  const draw = (): void => {
    const { done, count } = look()
    const rate = Math.round(count / Math.max(0.001, (performance.now() - began) / 1000)).toLocaleString('en-US')
    bar.update(done, { count: count.toLocaleString('en-US'), unit: `${unit}s`, rate })
  }
  bar.start(whole ?? 0, 0, { count: 0, unit: `${unit}s`, rate: 0 })
  const timer = setInterval(draw, drawEvery)
  // A message goes above the bar, which then draws itself again.
  terminal.clearLine = () => process.stderr.write('\r\u001b[K')
  return {
    stop() {
      clearInterval(timer)
      draw()
      bar.stop()
      terminal.clearLine = () => {}
    },
  }
}

function sayLines(terminal: Terminal, unit: string, look: () => Progressing): { stop(): void } {
  const timer = setInterval(() => {
    const { done, whole, count } = look()
    const part = whole === undefined || whole === 0 ? '' : ` (${Math.floor((100 * done) / whole)}%)`
    terminal.say(`${counted(count, unit)}${part}`)
  }, sayEvery)
  return { stop: () => clearInterval(timer) }
}
