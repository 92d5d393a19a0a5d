import { describe, expect, test } from 'vitest'
import { verifyRun } from 'xmachines'
import { archive, gitStore, openClone } from 'xmachines/persistence/git'
import { memoryStore } from 'xmachines/persistence/memory'
import { postgresStore } from 'xmachines/persistence/postgres'
import { valkeyStore } from 'xmachines/persistence/valkey'
import { simulate } from 'xmachines/testing'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { redpandaBroker } from 'xmachines/transports/redpanda'
import { fromObservable } from 'xmachines/transports/rxjs'
import { gitStore as gitStoreOfBrowsers } from '../../src/persistence/git/browser.ts'

/** As who has no types calls them. */
const doors: Readonly<Record<string, (options: never) => unknown>> = {
  archive: options => archive(memoryStore(), options),
  fromObservable: options => fromObservable({ subscribe: () => ({ unsubscribe() {} }) }, options),
  gitStore,
  'gitStore of browsers': gitStoreOfBrowsers,
  kafkaBroker,
  openClone,
  postgresStore,
  redpandaBroker,
  simulate,
  valkeyStore,
}

describe.each(Object.entries(doors))('%s', (name, open) => {
  test.each([
    [undefined, 'undefined'],
    [null, 'null'],
    ['ledger', "the text 'ledger'"],
    [gitStore, 'a function: call it'],
  ])('says how its options look, given %s', async (options, shown) => {
    const call = async (): Promise<unknown> => open(options as never)
    const said = expect.stringMatching(new RegExp(`^Expected options, as \`${name.split(' ')[0]}\\(.*got ${shown}\\.$`))
    await expect(call()).rejects.toEqual(expect.objectContaining({ name: 'TypeError', message: said }))
  })
})

test('what is no store, and no supervisor, is neither archived nor verified', async () => {
  for (const source of [undefined, 'store', memoryStore]) {
    expect(() => archive(source as never, { dir: 'ledger' })).toThrow(/^Expected `source` to be a store, /)
  }
  await expect(verifyRun(memoryStore as never, [] as never, {} as never)).rejects.toThrow(
    /^Expected `store` to be a store, /,
  )
})

test('values that nobody reads are dropped only by who says so', () => {
  const observable = { subscribe: () => ({ unsubscribe() {} }) }
  expect(() => fromObservable(observable, {} as never)).toThrow(
    "one of 'error', 'drop-oldest', 'drop-newest', 'latest'",
  )
  expect(() => fromObservable({} as never, { overflow: 'latest' })).toThrow('Expected an Observable')
})
