import { execFileSync, spawnSync } from 'node:child_process'

/** Git without what the machine that tests has configured. */
const environment = {
  ...process.env,
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'tester',
  GIT_AUTHOR_EMAIL: 'tester@example.invalid',
  GIT_COMMITTER_NAME: 'tester',
  GIT_COMMITTER_EMAIL: 'tester@example.invalid',
  LC_ALL: 'C',
}

/** Runs stock Git in a directory and returns what it prints. @throws with what it says */
export function git(dir: string, ...args: readonly string[]): string {
  return execFileSync('git', ['-C', dir, ...args], {
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 28,
  }).trimEnd()
}

/** Runs stock Git that may refuse. */
export function gitTries(
  dir: string,
  ...args: readonly string[]
): { readonly code: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync('git', ['-C', dir, ...args], { env: environment, encoding: 'utf8' })
  return { code: status, said: stdout + stderr }
}

/** What `git fsck` finds wrong; a head that points to a branch that nobody made is nothing. */
export function fsck(dir: string): string {
  const { code, said } = gitTries(dir, 'fsck', '--strict', '--full', '--no-dangling')
  const lines = said.split('\n').filter(line => line !== '' && !line.startsWith('notice: '))
  return code === 0 ? lines.join('\n') : `${code}: ${lines.join('\n')}`
}
