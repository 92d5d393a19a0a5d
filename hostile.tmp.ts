import { setup, assign, emit } from 'xstate'
import { createRun, openRun, defineMachine } from './src/index.ts'
import { fileStore } from './src/persistence/filesystem/index.ts'
import { rmSync } from 'node:fs'
const evil = 'A\u001b[31m\u0007\r\n\u009b2J\u202e\u2066\u200b\u200d\u2060\ufeff\u00ad\u061c\u180e\u{e0041}\u0000\u007f\u2028\u3164\ufff9Z'
const dir = '/tmp/h-sec-scratch/hostile'
rmSync(dir, { recursive: true, force: true })
const store = fileStore(dir, { fsync: false })
export const machine = setup({}).createMachine({ id: evil, initial: evil, context: { n: {} as Record<string, unknown> }, states: { [evil]: { after: { 99999999: evil }, on: { '*': { actions: [assign({ n: ({ event }) => ({ [evil]: event }) }), emit(() => ({ type: evil }))] } } } } })
if (process.argv[2] === 'make') {
const run = await openRun(machine, { store, key: evil, namespace: evil })
await run.apply({ type: evil, [evil]: evil })
await run.apply([{ type: evil }, { type: evil + '2' }])
await run.close()
const run2 = await openRun(machine, { store, key: evil + 'b', namespace: evil })
await run2.apply({ type: evil + 'c', [evil]: evil })
await run2.stop(evil)
await run2.close()
await store.close()
}
