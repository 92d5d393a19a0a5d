import { readFileSync } from 'node:fs'
import { messageOf } from '../../actors/errors.ts'
import type { KafkaConnection } from '../../transports/kafka/index.ts'
import type { KafkaLogger } from '../../transports/kafka/log.ts'
import { type Terminal, usage } from '../terminal.ts'
import { printable } from '../text.ts'

/** What is told of credentials: for the help of commands. They are no arguments, which everybody on the machine can read. */
export const credentialsHelp = `
Credentials are taken from the environment:
  XMACHINES_KAFKA_USERNAME, XMACHINES_KAFKA_PASSWORD   who this is
  XMACHINES_KAFKA_SASL      plain, scram-sha-256 or scram-sha-512 (default)
  XMACHINES_KAFKA_TLS       true: the brokers are spoken to over TLS
  XMACHINES_KAFKA_CA        a file with the certificates that TLS trusts; implies TLS`

const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const

/** What the environment may say about a cluster. */
type Environment = Readonly<Record<string, string | undefined>>

/**
 * Where a cluster is, and who asks. `brokers` is `host:port,…`; who, is in the environment.
 *
 * @throws USAGE_INVALID, without a word of the credentials
 */
export function kafkaConnection(
  terminal: Terminal,
  brokers: string,
  environment: Environment = process.env,
): KafkaConnection {
  const ssl = tlsOf(environment)
  const sasl = saslOf(environment)
  return {
    brokers: addressesOf(brokers),
    clientId: 'xmachines',
    logger: warningsTo(terminal),
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl }),
  }
}

function addressesOf(text: string): readonly string[] {
  // What is told of a mistake must not hold a password.
  if (text.includes('@'))
    throw usage('--kafka takes no credentials: put them into XMACHINES_KAFKA_USERNAME and XMACHINES_KAFKA_PASSWORD.')
  const addresses = text.split(',').map(address => address.trim())
  for (const address of addresses) {
    if (!/^(\[[\da-f:]+\]|[^\s:/]+):\d{1,5}$/i.test(address))
      throw usage(`--kafka takes addresses like localhost:9092, with commas between them; got '${printable(address)}'.`)
  }
  return addresses
}

function tlsOf({ XMACHINES_KAFKA_TLS: tls = '', XMACHINES_KAFKA_CA: ca = '' }: Environment): KafkaConnection['ssl'] {
  if (!['', 'true', 'false', '1', '0'].includes(tls))
    throw usage(`XMACHINES_KAFKA_TLS is true or false; got '${printable(tls)}'.`)
  if (ca !== '') {
    if (tls === 'false' || tls === '0')
      throw usage('XMACHINES_KAFKA_CA is set and XMACHINES_KAFKA_TLS says no: one is wrong.')
    try {
      return { ca: [readFileSync(ca, 'utf8')] }
    } catch (thrown) {
      throw usage(`The file that XMACHINES_KAFKA_CA names cannot be read: ${messageOf(thrown)}.`)
    }
  }
  return tls === 'true' || tls === '1' ? true : undefined
}

function saslOf(environment: Environment): KafkaConnection['sasl'] {
  const {
    XMACHINES_KAFKA_USERNAME: username = '',
    XMACHINES_KAFKA_PASSWORD: password = '',
    XMACHINES_KAFKA_SASL: name = '',
  } = environment
  if (username === '' && password === '') {
    if (name !== '') throw usage('XMACHINES_KAFKA_SASL needs XMACHINES_KAFKA_USERNAME and XMACHINES_KAFKA_PASSWORD.')
    return undefined
  }
  if (username === '' || password === '')
    throw usage('XMACHINES_KAFKA_USERNAME and XMACHINES_KAFKA_PASSWORD go together: one of them is not set.')
  const mechanism = mechanisms.find(each => each === (name === '' ? 'scram-sha-512' : name))
  if (mechanism === undefined) throw usage(`XMACHINES_KAFKA_SASL is one of ${mechanisms.join(', ')}.`)
  return { mechanism, username, password } as KafkaConnection['sasl']
}

/** Warnings on stderr; the same one again is not said. */
function warningsTo(terminal: Terminal): KafkaLogger {
  let last = ''
  const warn = (message: string, fields: object): void => {
    const { error } = fields as { readonly error?: unknown }
    const text = error === undefined ? message : `${message}: ${printable(String(error))}`
    if (text !== last) terminal.say(text)
    last = text
  }
  return { debug() {}, info() {}, warn, error: warn }
}
