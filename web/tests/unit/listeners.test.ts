// Listeners in a form: only what is other than it was is sent.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changes, formOf, type Listener } from '../../src/state/listeners'

const listener = {
  id: 'l1', name: 'Partner', enabled: true, tenant: 'north', protocol: 'wialon', listen: '[::]:20332', transport: 'tcp', unknown: 'reject',
  checksum: 'enforce', other_device: 'admit', device: null, allow: ['10.0.0.0/8', '::1/128'], deny: [], accept_rate_max: 50, connections_max: null,
  connections_per_address_max: 0, proxy_protocol: false, trusted: [], tls: { cert: '/c', key: '/k', client_ca: null }, settings: { password: '(hidden)' },
  created: 1, updated: 1, revision: 3, state: 'open', problem: null, sockets: []
} as unknown as Listener

test('of a listener that nobody changed there is nothing to say', () => {
  assert.deepEqual(changes(formOf(listener), listener), {})
  assert.deepEqual(changes(formOf()), {})
})

test('a new one is what was typed', () => {
  const form = { ...formOf(), protocol: 'teltonika', listen: ' 15027 ', tenant: 'north', allow: '10.0.0.0/8,\n 192.0.2.7\n', rate: 5, settings: 'a = b\nc=d=e\n\nf' }
  const expected = { protocol: 'teltonika', listen: '15027', tenant: 'north', allow: ['10.0.0.0/8', '192.0.2.7'], accept_rate_max: 5, settings: { a: 'b', c: 'd=e', f: '' } }
  assert.deepEqual(changes(form), expected)
})

test('what was made empty is taken away', () => {
  const form = { ...formOf(listener), name: ' ', allow: '', rate: null, cert: '', key: '', clientCa: '/nobody’s' }
  assert.deepEqual(changes(form, listener), { name: '', allow: [], accept_rate_max: null, tls: null })
  // Half of what TLS needs is for the server to refuse.
  assert.deepEqual(changes({ ...formOf(listener), cert: '' }, listener), { tls: { cert: '', key: '/k', client_ca: null } })
})
