import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect } from 'vitest'
import type { Store } from 'xmachines'
import { ended } from '../cli/command.ts'
import { nodeScript } from '../node-script.ts'
import { fsck, git } from '../persistence/git/stock-git.ts'
import type { Program } from './counters.ts'
import type { CrashPoint } from './crash-points.ts'
import { type Kept, type Kind, openKept } from './kept.ts'
import type { Acknowledged } from './life.ts'
import type { Effect } from './program.ts'

/** A place where a program runs, life after life. */
export interface Place {
  /** One life. Resolves to whether it died at the point. */
  live(program: Program, point: CrashPoint | undefined, hit: number): Promise<boolean>
  /** What is left, as somebody sees it who was not there. */
  store(): Store
  effects(): readonly Effect[]
  /** What the senders of all lives were told. */
  acknowledged(): readonly Acknowledged[]
  /** Where the branches of runs point, of a repository in which stock Git finds nothing wrong. */
  branches?(): ReadonlyMap<string, string>
}

const script = nodeScript(new URL('./worker.ts', import.meta.url))
const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** Each life is a process of its own, killed by SIGKILL. @param url of the server, where the kind has one */
export function inProcesses(kind: Kind, url?: string): Place & { readonly kept: Kept } {
  const dir = mkdtempSync(join(tmpdir(), 'xmachines-crash-'))
  folders.push(dir)
  const kept: Kept = { kind, dir, ...(url !== undefined && { url }) }
  return {
    kept,
    async live(program, point, hit) {
      const told = [JSON.stringify(kept), JSON.stringify(program), point ?? '', `${hit}`]
      const { code, signal, stderr } = await ended(spawn(process.execPath, [script, ...told], { stdio: 'pipe' }))
      expect([0, null], stderr).toContain(code)
      return signal === 'SIGKILL'
    },
    store: () => openKept(kept),
    effects: () => linesOf<Effect>(join(dir, 'effects.ndjson')),
    acknowledged: () => linesOf<Acknowledged>(join(dir, 'acknowledged.ndjson')),
    ...(kind === 'git' && { branches: () => branchesIn(join(dir, 'store')) }),
  }
}

function linesOf<T>(file: string): T[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  return lines.map(line => JSON.parse(line) as T)
}

function branchesIn(gitdir: string): Map<string, string> {
  expect(fsck(gitdir)).toBe('')
  const format = '--format=%(refname:lstrip=3) %(objectname)'
  const lines = git(gitdir, 'for-each-ref', format, 'refs/heads/r').split('\n')
  return new Map(lines.map(line => line.split(' ') as [string, string]))
}
