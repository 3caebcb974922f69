// Asks the server. Every address, query, body and answer is typed by the description that the server gives of itself.
import { early } from './early'
import type { components, paths } from './schema'

export type Schemas = components['schemas']
export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'

type PathsOf<M extends Method> = {
  [P in keyof paths]: paths[P] extends { [N in M]: { responses: unknown } } ? P : never
}[keyof paths]
type Operation<P extends keyof paths, M extends Method> = M extends keyof paths[P] ? paths[P][M] : never
type Query<O> = O extends { parameters: { query?: infer Q } } ? NonNullable<Q> : never
type InPath<O> = O extends { parameters: { path: infer N } } ? N : never
type Body<O> = O extends { requestBody: { content: { 'application/json': infer B } } } ? B : never
type Json<R> = R extends { content: { 'application/json': infer A } } ? A : undefined
type Answer<O> = O extends { responses: infer R }
  ? R extends { 200: infer A } ? Json<A> : R extends { 201: infer A } ? Json<A> : undefined
  : never
type Asked<O> = ([InPath<O>] extends [never] ? { path?: undefined } : { path: InPath<O> }) &
  ([Query<O>] extends [never] ? { query?: undefined } : { query?: Query<O> }) &
  ([Body<O>] extends [never] ? { body?: undefined } : { body: Body<O> }) & { signal?: AbortSignal }
type Args<O> = [InPath<O>, Body<O>] extends [never, never] ? [asked?: Asked<O>] : [asked: Asked<O>]

/** An answer that is none: what is wrong, and what to do about it. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string
  ) {
    super(`${title}: ${detail}`)
  }
  /** Whether nobody answered at all. */
  get isNetwork(): boolean {
    return this.status === 0
  }
}

/** Called when the server says that nobody is signed in. */
let onSignedOut: () => void = () => undefined
export function whenSignedOut(then: () => void): void {
  onSignedOut = then
}

/** The tenant that is asked about, for those who may enter others than their own. */
let tenant: string | undefined
/** Gives the one that was asked about before. */
export function enterTenant(id: string | undefined): string | undefined {
  const before = tenant
  tenant = id
  return before
}

type Loose = { path?: unknown; query?: unknown; body?: unknown; signal?: AbortSignal | undefined }

/** The address of a request, as links to downloads have it, too. */
export function address(path: string, { path: names, query }: Loose = {}): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String((names as Record<string, unknown>)[name]))
  )
  const asked = new URLSearchParams()
  for (const [name, value] of Object.entries((query ?? {}) as Record<string, unknown>)) {
    if (value !== undefined && value !== null && value !== '') asked.set(name, String(value))
  }
  // One's own account is in no tenant but one's own.
  if (tenant && !path.startsWith('/api/v1/account')) asked.set('tenant', tenant)
  return asked.size > 0 ? `${filled}${filled.includes('?') ? '&' : '?'}${asked.toString()}` : filled
}

/** The answer as it comes. Throws a `Problem` if it is none. */
export async function ask(method: Method, path: string, asked: Loose = {}): Promise<Response> {
  const headers: Record<string, string> = {}
  if (asked.body !== undefined) headers['Content-Type'] = 'application/json'
  const to = address(path, asked)
  // Behind whatever is changed, somebody else may be signed in.
  if (method !== 'get') early.forget()
  const begun = method === 'get' ? early.take(to) : undefined
  const asks = () =>
    fetch(to, {
      method: method.toUpperCase(),
      headers,
      body: asked.body === undefined ? null : JSON.stringify(asked.body),
      signal: asked.signal ?? null
    })
  let response: Response
  try {
    response = await (begun?.then((answer) => answer ?? asks()) ?? asks())
  } catch (error) {
    if (asked.signal?.aborted) throw error
    throw new Problem(0, 'network', '', '')
  }
  if (response.ok) return response
  const problem = await problemOf(response)
  if (problem.code === 'unauthenticated') onSignedOut()
  throw problem
}

/** What is wrong, of an answer that says so. */
export async function problemOf(response: Response): Promise<Problem> {
  try {
    const { status, code, title, detail } = (await response.json()) as Schemas['Problem']
    return new Problem(status, code, title, detail)
  } catch {
    // A proxy in between speaks for itself.
    return new Problem(response.status, `http_${response.status}`, response.statusText, '')
  }
}

async function send<M extends Method, P extends PathsOf<M>>(method: M, path: P, asked?: Loose): Promise<Answer<Operation<P, M>>> {
  const response = await ask(method, path as string, asked)
  const isJson = response.headers.get('content-type')?.startsWith('application/json')
  return (isJson ? await response.json() : undefined) as Answer<Operation<P, M>>
}

export const api = {
  get: <P extends PathsOf<'get'>>(path: P, ...[asked]: Args<Operation<P, 'get'>>) => send('get', path, asked as Loose),
  post: <P extends PathsOf<'post'>>(path: P, ...[asked]: Args<Operation<P, 'post'>>) => send('post', path, asked as Loose),
  put: <P extends PathsOf<'put'>>(path: P, ...[asked]: Args<Operation<P, 'put'>>) => send('put', path, asked as Loose),
  patch: <P extends PathsOf<'patch'>>(path: P, ...[asked]: Args<Operation<P, 'patch'>>) => send('patch', path, asked as Loose),
  delete: <P extends PathsOf<'delete'>>(path: P, ...[asked]: Args<Operation<P, 'delete'>>) => send('delete', path, asked as Loose)
}

/** The lines of an answer of JSON objects, as they come. */
export async function* lines<T>(response: Response, read: (line: string) => unknown = JSON.parse): AsyncGenerator<T> {
  if (!response.body) return
  let rest = ''
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    const parts = (rest + value).split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) if (part) yield read(part) as T
  }
  if (rest) yield read(rest) as T
}
