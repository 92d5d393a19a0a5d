import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkLines } from './json-shapes.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** How the command line is started: as `npm test` has just built it, else from its source. */
const command = isBuilt() ? ['dist/cli.js'] : ['--import', 'jiti/register', 'src/cli/main.ts']

/** How a command ended. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Starts `xmachines …`. */
export function start(...args: readonly string[]): ChildProcess {
  return startIn({}, ...args)
}

/** Starts `xmachines …` with more in its environment. */
export function startIn(environment: Readonly<Record<string, string>>, ...args: readonly string[]): ChildProcess {
  const env = { ...process.env, ...environment }
  return spawn(process.execPath, [...command, ...args], { cwd: root, stdio: ['pipe', 'pipe', 'pipe'], env })
}

/** Gathers what a command says until it ends. */
export function ended(child: ChildProcess): Promise<Ended> {
  let [stdout, stderr] = ['', '']
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}

/** Runs `xmachines …` to its end. What it prints with `--json` has to be documented. */
export async function xmachines(...args: readonly string[]): Promise<Ended> {
  const child = start(...args)
  child.stdin!.end()
  const told = await ended(child)
  checkLines(args, told.stdout)
  return told
}

/** Runs `xmachines …` to its end, with `input` on its stdin. */
export function xmachinesReading(input: string, ...args: readonly string[]): Promise<Ended> {
  const child = start(...args)
  child.stdin!.on('error', () => {}) // it may not want all of it
  child.stdin!.end(input)
  return ended(child)
}

/** The lines of an NDJSON output. */
export function jsonLines<T = Record<string, unknown>>(text: string): readonly T[] {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as T)
}

/** Whether the build is newer than every source. */
export function isBuilt(): boolean {
  const built = join(root, 'dist/cli.js')
  if (!existsSync(built)) return false
  const sources = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true }).filter(entry =>
    entry.isFile(),
  )
  const newest = Math.max(...sources.map(entry => statSync(join(entry.parentPath, entry.name)).mtimeMs))
  return statSync(built).mtimeMs > newest
}
