import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { XMachinesError } from '../../actors/errors.ts'
import { writeAfresh } from '../filesystem/files.ts'
import { errnoOf } from './failures.ts'
import { ownFolder } from './layout.ts'

/*
 * Pushes set refs one after the other. Git locks each ref alone, and a hook is asked before any of them is locked: two pushes
 * that each fit what is there need not fit each other. So what is true of all refs together is checked in turns, and a turn
 * ends with the process that sets the refs. That is Git's own: it can hold no lock of ours, and is known by its number and the
 * time of its start; of one in another container or on another machine nothing is known, and nobody waits for it. As with the
 * lock of a store, turns are numbered, and the highest number is never removed.
 */

/** How long the turn of another push is waited for: it sets its refs, and may collect garbage afterwards. */
const patience = { pause: 10, tries: 6000 }

/** Takes a turn for the process that sets the refs of a push. @throws STORE_LOCKED: another one does not end */
export async function takeTurn(gitdir: string, process: number, wait = patience): Promise<void> {
  const folder = turnsIn(gitdir)
  const own = join(folder, `.${globalThis.process.pid}`)
  writeAfresh(own, JSON.stringify({ process, start: startOf(process) }))
  // Whoever else may push has to read it.
  fs.chmodSync(own, 0o644)
  try {
    for (let tries = 0; ; tries++) {
      const before = highest(folder)
      const other = ownerOf(folder, before)
      if (other !== undefined) {
        if (tries >= wait.tries) throw taken(gitdir, other)
        await pause(wait.pause)
      } else if (linked(own, join(folder, `${before + 1}`))) {
        // One that was faster, and has removed what stood in the way of the link, has a higher number.
        if (highest(folder) === before + 1) return removeBelow(folder, before + 1)
        fs.rmSync(join(folder, `${before + 1}`), { force: true })
      }
    }
  } finally {
    fs.rmSync(own, { force: true })
  }
}

/** Git has given the folder of objects the rights that all who push need. */
function turnsIn(gitdir: string): string {
  const { mode } = fs.statSync(join(gitdir, 'objects'))
  for (const folder of [join(gitdir, ownFolder), join(gitdir, ownFolder, 'pushes')]) {
    try {
      fs.mkdirSync(folder)
      fs.chmodSync(folder, mode & 0o7777)
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
    }
  }
  return join(gitdir, ownFolder, 'pushes')
}

function turns(folder: string): readonly number[] {
  return fs
    .readdirSync(folder)
    .filter(name => /^\d+$/.test(name))
    .map(Number)
}

function highest(folder: string): number {
  return Math.max(0, ...turns(folder))
}

function removeBelow(folder: string, turn: number): void {
  for (const ended of turns(folder)) if (ended < turn) fs.rmSync(join(folder, `${ended}`), { force: true })
}

function linked(own: string, path: string): boolean {
  try {
    fs.linkSync(own, path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  }
}

/** The process that has a turn; `undefined`: it has ended. */
function ownerOf(folder: string, turn: number): number | undefined {
  try {
    const { process, start } = JSON.parse(fs.readFileSync(join(folder, `${turn}`), 'utf8'))
    return start !== undefined && startOf(process) === start ? process : undefined
  } catch {
    return undefined
  }
}

/** When a process began, in words of the system. `undefined`: there is none, or it has ended and is waited for by nobody. */
function startOf(process: number): string | undefined {
  if (fs.existsSync('/proc/self/stat')) {
    try {
      const stat = fs.readFileSync(`/proc/${process}/stat`, 'latin1')
      // Behind the name, which may hold anything, are the state and, as the 20th, the start.
      const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return state === 'Z' || state === 'X' ? undefined : fields[18]
    } catch {
      return undefined
    }
  }
  const { status, stdout } = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', `${process}`], { encoding: 'utf8' })
  const [, state, start] = (status === 0 && /^\s*(\S+)\s+(.+?)\s*$/.exec(stdout)) || []
  return state?.startsWith('Z') ? undefined : start
}

function taken(gitdir: string, process: number): XMachinesError {
  return new XMachinesError(
    'STORE_LOCKED',
    `Another push to ${gitdir} (process ${process}) has not ended. Push again when it has.`,
    { details: { path: gitdir, pid: process } },
  )
}
