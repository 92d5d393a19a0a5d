import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { java } from './java.ts'
import type { Keeper } from './keeper.ts'

/** Listeners beside `PLAINTEXT`, which every node has, and which the nodes and the launcher use. */
export type SecureListener = 'SASL_PLAINTEXT' | 'SSL' | 'SASL_SSL'

/** Password by user name. */
export type Users = Readonly<Record<string, string>>

const scram = ['SCRAM-SHA-256', 'SCRAM-SHA-512']
const modules = 'org.apache.kafka.common.security'

/** The nodes' certificate, for 127.0.0.1 and localhost: of a CA of its own, itself. */
export interface Certificate {
  readonly pem: string
  readonly properties: Readonly<Record<string, string>>
}

/** Made by Java's own tool, which is where Java is. */
export async function makeCertificate(keeper: Keeper): Promise<Certificate> {
  const keytool = join(dirname(realpathSync(java())), 'keytool')
  if (!existsSync(keytool)) throw new Error(`${keytool}, which makes certificates, is missing: install a whole JRE.`)
  const store = join(keeper.dir, 'certificate.p12')
  const pem = join(keeper.dir, 'certificate.pem')
  const password = 'launcher'
  const where = ['-alias', 'node', '-keystore', store, '-storetype', 'PKCS12', '-storepass', password]
  const names = ['-dname', 'CN=localhost', '-ext', 'SAN=IP:127.0.0.1,DNS:localhost', '-validity', '3650']
  const key = ['-keyalg', 'EC', '-groupname', 'secp256r1']
  await keeper.runToEnd(keytool, ['-genkeypair', ...where, ...key, ...names], 'certificate')
  await keeper.runToEnd(keytool, ['-exportcert', '-rfc', ...where, '-file', pem], 'certificate')
  return {
    pem: readFileSync(pem, 'utf8'),
    properties: {
      'ssl.keystore.type': 'PKCS12',
      'ssl.keystore.location': store,
      'ssl.keystore.password': password,
      'ssl.key.password': password,
    },
  }
}

/** What a node is told of SASL: SCRAM, whose passwords are in the cluster's metadata, and PLAIN, whose are here. */
export function saslProperties(listeners: readonly SecureListener[], users: Users): Record<string, string> {
  const passwords = Object.entries(users).map(([name, password]) => ` user_${name}="${password}"`)
  const configs = listeners
    .filter(listener => listener.startsWith('SASL'))
    .flatMap(listener => {
      const prefix = `listener.name.${listener.toLowerCase()}`
      return [
        ...scram.map(name => [
          `${prefix}.${name.toLowerCase()}.sasl.jaas.config`,
          `${modules}.scram.ScramLoginModule required;`,
        ]),
        [`${prefix}.plain.sasl.jaas.config`, `${modules}.plain.PlainLoginModule required${passwords.join('')};`],
      ]
    })
  if (configs.length === 0) return {}
  return { 'sasl.enabled.mechanisms': [...scram, 'PLAIN'].join(','), ...Object.fromEntries(configs) }
}

/** What the users are known by from the first start on: arguments of the format. */
export function scramArguments(users: Users): readonly string[] {
  return Object.entries(users).flatMap(([name, password]) =>
    scram.flatMap(mechanism => ['--add-scram', `${mechanism}=[name=${name},password=${password}]`]),
  )
}
