/**
 * Runs the servers of one test, and ends them and removes their folder when the channel to whoever asked for them closes: also
 * when that was killed. A process of its own, in a session of its own: a Ctrl-C for the test does not reach it.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, rmSync } from 'node:fs'

const dir = process.argv[2]
const running = new Map()

process.on('message', ({ id, command, args, log }) => {
  const output = openSync(log, 'a')
  const child = spawn(command, args, { cwd: dir, stdio: ['ignore', output, output] })
  closeSync(output)
  running.set(id, child)
  const say = message => process.connected && process.send({ id, ...message })
  if (child.pid !== undefined) say({ pid: child.pid })
  child.once('error', error => say({ ended: error.message }))
  child.once('exit', (code, signal) => {
    running.delete(id)
    say({ ended: signal ?? `code ${code}` })
  })
})

async function end() {
  const children = [...running.values()]
  const ends = children.map(child => once(child, 'exit'))
  for (const child of children) child.kill('SIGKILL')
  await Promise.all(ends)
  rmSync(dir, { recursive: true, force: true })
  process.exit()
}

process.once('disconnect', end)
process.once('SIGTERM', end)
