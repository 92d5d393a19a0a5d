import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { openRun, type Store, XMachinesError } from 'xmachines'
import { ndjsonEncode } from 'xmachines/transports/framing'
import order from './order.ts'

/**
 * An HTTP server that keeps one order run for each id:
 *
 *     POST /orders/ID           an event, or an array as one batch; answers the receipt
 *     GET  /orders/ID           the order as it is
 *     GET  /orders/ID/history   its units, one JSON line each
 */
export function createOrderServer(store: Store): Server {
  return createServer((request, response) => {
    route(store, request, response).catch(error => fail(response, error))
  })
}

async function route(store: Store, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, orders, key, part] = new URL(request.url ?? '/', 'http://localhost').pathname
    .split('/')
    .map(decodeURIComponent)
  if (orders !== 'orders' || key === undefined || key === '')
    return answer(response, 404, { message: 'There is no such page.' })
  if (request.method === 'POST' && part === undefined) return post(store, key, request, response)
  if (request.method === 'GET' && part === undefined) return get(store, key, response)
  if (request.method === 'GET' && part === 'history') return history(store, key, response)
  answer(response, 405, { message: `${request.method} is not served here.` })
}

/** The run is in memory as long as somebody holds it: overlapping requests for one order share it. */
async function post(store: Store, key: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let events: never
  try {
    events = JSON.parse(await text(request)) as never // what it really is, the machine's schema says
  } catch {
    return answer(response, 400, { message: 'The body is not JSON.' })
  }
  await using run = await openRun(order, { store, key })
  // A client that did not get the answer sends the same request again: it is applied once.
  const id = request.headers['idempotency-key']
  const receipt = await run.apply(events, typeof id === 'string' ? { id } : {})
  if (receipt.ok) return answer(response, 200, receipt)
  answer(response, receipt.error.code.startsWith('EVENT_REJECTED') ? 422 : 409, receipt.error)
}

async function get(store: Store, key: string, response: ServerResponse): Promise<void> {
  await using run = await openRun(order, { store, key, create: false })
  const { value, context, status } = run.getSnapshot()
  answer(response, 200, { run: run.id, value, context, status })
}

async function history(store: Store, key: string, response: ServerResponse): Promise<void> {
  const id = await store.find('order', key)
  if (id === undefined) return answer(response, 404, { message: `There is no order ${key}.` })
  response.setHeader('content-type', 'application/x-ndjson')
  await pipeline(Readable.fromWeb(store.read(id).pipeThrough(ndjsonEncode()) as never), response)
}

/** What a run refuses is a receipt. What comes here is the store's trouble, or an order that is not there. */
function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) return void response.destroy()
  if (!XMachinesError.is(error)) return answer(response, 500, { message: 'Something went wrong.' })
  const status = error.code === 'RUN_UNKNOWN' ? 404 : error.retryable ? 503 : 500
  answer(response, status, error)
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
