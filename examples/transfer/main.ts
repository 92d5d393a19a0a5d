import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/*
 * Kills the driver at random for as many seconds as the first argument says (60), three times at least, lets it end what it had begun, and has the store checked.
 */

const seconds = Number(process.argv[2] ?? 60)
if (!(seconds > 0)) throw new TypeError(`Expected seconds, got ${process.argv[2]}.`)
const dir = mkdtempSync(join(tmpdir(), 'transfers-'))

/** Another program of this example, as a process of its own. */
function start(name: string, ...args: string[]) {
  const file = fileURLToPath(import.meta.url)
  const program = join(file, '..', `${name}${extname(file)}`)
  // Older Nodes need help with TypeScript.
  const strips = 'typescript' in process.features && process.features.typescript !== false
  const loader = extname(file) === '.ts' && !strips ? ['--import', 'jiti/register'] : []
  return spawn(process.execPath, [...loader, program, dir, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
}

let kills = 0
const until = Date.now() + seconds * 1000
while (Date.now() < until || kills < 3) {
  const driver = start('driver')
  const exit = once(driver, 'exit')
  // It says when it is at work: otherwise a slow machine would see it die at its start only.
  const early = await Promise.race([exit, once(driver.stdout, 'data').then(() => wait(Math.random() * 1000))])
  if (early !== undefined) throw new Error(`The driver ended by itself: ${String(early)}`)
  driver.kill('SIGKILL')
  await exit
  kills++
}

const drained = (await once(start('driver', 'drain'), 'exit')) as [number | null]
console.log(`${kills} kills in ${seconds} s; the driver then ended by itself with ${String(drained[0])}`)
const check = start('check')
check.stdout.pipe(process.stdout)
const [code] = (await once(check, 'exit')) as [number | null]
rmSync(dir, { recursive: true })
process.exitCode = drained[0] === 0 ? (code ?? 1) : 1
