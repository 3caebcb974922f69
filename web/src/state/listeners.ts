// Listeners as they stand in a form, and what of it is new.
import type { Schemas } from '../api/client'

export type Listener = Schemas['ListenerSeen']
type Fields = Schemas['ListenerFields']

export const TRANSPORTS = ['both', 'tcp', 'udp', 'http'] as const
export const UNKNOWN = ['register', 'quarantine', 'reject'] as const
export const OTHERS = ['admit', 'ignore', 'refuse'] as const
export const CHECKSUMS = ['enforce', 'note'] as const

/** A listener, as people type it: lists have a line for each, and an empty text is nothing. */
export function formOf(listener?: Listener) {
  const number = (value: number | null | undefined): string | number | null => value ?? ''
  return {
    name: listener?.name ?? '',
    protocol: listener?.protocol ?? '',
    listen: listener?.listen ?? '',
    tenant: listener?.tenant ?? 'default',
    transport: listener?.transport ?? TRANSPORTS[0],
    unknown: listener?.unknown ?? UNKNOWN[0],
    allow: (listener?.allow ?? []).join('\n'),
    deny: (listener?.deny ?? []).join('\n'),
    rate: number(listener?.accept_rate_max),
    connections: number(listener?.connections_max),
    fromOne: number(listener?.connections_per_address_max || undefined),
    device: listener?.device ?? '',
    other: listener?.other_device ?? OTHERS[0],
    checksum: listener?.checksum ?? CHECKSUMS[0],
    proxy: listener?.proxy_protocol ?? false,
    trusted: (listener?.trusted ?? []).join('\n'),
    cert: listener?.tls?.cert ?? '',
    key: listener?.tls?.key ?? '',
    clientCa: listener?.tls?.client_ca ?? '',
    settings: Object.entries(listener?.settings ?? {}).map((pair) => pair.join('=')).join('\n')
  }
}
export type Form = ReturnType<typeof formOf>

/** What of a form is other than it was; of a listener that is to be made, other than nothing says. */
export function changes(form: Form, before?: Listener): Fields {
  const was = said(formOf(before))
  const isNew = ([name, value]: [string, unknown]) => JSON.stringify(value) !== JSON.stringify(was[name as keyof Fields])
  return Object.fromEntries(Object.entries(said(form)).filter(isNew)) as Fields
}

/** All that a form says. */
function said(form: Form): Fields {
  const cert = form.cert.trim()
  return {
    name: form.name.trim(),
    protocol: form.protocol,
    listen: form.listen.trim(),
    tenant: form.tenant,
    transport: form.transport,
    unknown: form.unknown,
    allow: lines(form.allow),
    deny: lines(form.deny),
    accept_rate_max: number(form.rate),
    connections_max: number(form.connections),
    connections_per_address_max: number(form.fromOne) ?? 0,
    device: form.device.trim() || null,
    other_device: form.other,
    checksum: form.checksum,
    proxy_protocol: form.proxy,
    trusted: lines(form.trusted),
    tls: cert || form.key.trim() ? { cert, key: form.key.trim(), client_ca: form.clientCa.trim() || null } : null,
    settings: Object.fromEntries(lines(form.settings, /\n/).map(pair))
  }
}

const lines = (text: string, between = /[\s,]+/) => text.split(between).map((line) => line.trim()).filter(Boolean)
const number = (typed: string | number | null) => (typed === '' || typed === null ? null : Number(typed))

function pair(line: string): [string, string] {
  const at = line.indexOf('=')
  return at < 0 ? [line, ''] : [line.slice(0, at).trim(), line.slice(at + 1).trim()]
}
