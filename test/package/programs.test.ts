import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { succeed } from './command.ts'
import { type Node, newestNode, thisNode } from './node.ts'
import { type Packed, packed, root } from './packed.ts'
import { filesOf, place } from './program.ts'

const newest = await newestNode()
const nodes: readonly Node[] = 'path' in newest ? [thisNode, newest] : [thisNode]
const programs = filesOf(join(root, 'test/package/programs'))

/** Those that others import are no programs of their own. */
const shared = ['order.ts']

let pack: Packed
beforeAll(async () => {
  pack = await packed()
  place(join(pack.folder, 'programs'), programs)
}, 600_000)

describe('the newest Node', () => {
  test('is among those that the package is tested on', context => {
    if ('path' in newest) return
    if (newest.required) throw new Error(`Expected the newest Node, which CI needs: ${newest.missing}.`)
    context.skip(`Only ${thisNode.name} is tested: ${newest.missing}.`)
  })
})

describe.each(nodes)('on $name, the packed package runs', ({ path, typescript }) => {
  test.each(Object.keys(programs).filter(name => !shared.includes(name)))(
    '%s',
    async name => {
      const file = typescript ? name : name.replace(/\.ts$/, '.js')
      expect(await succeed(path, [file], { cwd: join(pack.folder, 'programs') })).toBeDefined()
    },
    300_000,
  )
})
