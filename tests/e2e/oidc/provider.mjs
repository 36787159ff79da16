// An OpenID provider for the tests: the npm package oidc-provider with two clients, a password grant
// (made here, the package has none) and a tokeninfo endpoint as older providers have it.
// usage: node provider.mjs PORT TLSPORT KID   The keys are made anew at each start and named KID-ALG.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

import Provider, { errors } from 'oidc-provider';
import { exportJWK, generateKeyPair } from 'jose';

const [port, tlsPort, kid] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const users = JSON.parse(readFileSync(new URL('users.json', import.meta.url)));

const keys = [];
for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA']) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  keys.push({ ...(await exportJWK(privateKey)), kid: `${kid}-${alg}`, alg, use: 'sig' });
}

const provider = new Provider(issuer, {
  jwks: { keys },
  clients: [
    { client_id: 'authd', client_secret: 'authd-s3cret/+&', grant_types: [], response_types: [], redirect_uris: [] },
    {
      client_id: 'mail app', client_secret: 'app-s3cret=&', grant_types: ['password'], response_types: [],
      redirect_uris: [], token_endpoint_auth_method: 'client_secret_post',
    },
  ],
  scopes: ['openid', 'email', 'mail', 'calendar'],
  claims: { openid: ['sub'], email: ['email'] },
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    resourceIndicators: { enabled: true },
  },
  extraTokenClaims: (ctx, token) => (token.accountId ? { email: token.accountId } : undefined),
  findAccount: (ctx, id) => (id in users ? { accountId: id, claims: () => ({ sub: id, email: id }) } : undefined),
});

// resource: "" is an opaque token; "AUDIENCE ALG" a signed one. expires_in: seconds, may be past.
async function passwordGrant(ctx) {
  const { client, params } = ctx.oidc;
  if (!(params.username in users) || users[params.username] !== params.password)
    throw new errors.InvalidGrant('wrong password');
  const grant = new provider.Grant({ accountId: params.username, clientId: client.clientId });
  grant.addOIDCScope('openid email mail calendar');
  const token = new provider.AccessToken({
    accountId: params.username,
    client,
    grantId: await grant.save(),
    gty: 'password',
    scope: params.scope ?? 'openid email mail',
    expiresIn: Number(params.expires_in ?? 3600),
  });
  if (params.resource_server) {
    const [audience, alg] = params.resource_server.split(' ');
    token.resourceServer = new provider.ResourceServer(audience, {
      scope: token.scope, audience, accessTokenFormat: 'jwt', jwt: { sign: { alg } },
    });
  }
  ctx.body = {
    access_token: await token.save(), token_type: 'Bearer', expires_in: token.expiration,
  };
}
provider.registerGrantType('password', passwordGrant,
  ['username', 'password', 'scope', 'resource_server', 'expires_in']);

provider.use(async (ctx, next) => {
  if (ctx.path === '/moved') return ctx.redirect(`/tokeninfo?${ctx.querystring}`);
  if (ctx.path === '/huge') ctx.body = { email: 'tim', scope: 'mail', huge: 'x'.repeat(100000) };
  if (ctx.path === '/headers') {
    const about = ['service', 'remote', 'local'].map((name) => ctx.get(`x-dovecot-auth-${name}`));
    ctx.body = { email: 'tim', scope: 'mail', about };
  }
  if (ctx.path.startsWith('/status/')) {
    const [, , status, error] = ctx.path.split('/');
    if (error) ctx.set('WWW-Authenticate', `Bearer realm="x", error="${error}", scope="y"`);
    ctx.body = 'some page';
    ctx.status = Number(status);
  }
  if (ctx.path === '/list') ctx.body = ['tim'];
  if (ctx.path === '/broken') ctx.throw(500);
  if (ctx.path !== '/tokeninfo') return ctx.body ? undefined : next();
  const token = await provider.AccessToken.find(String(ctx.query.access_token));
  ctx.status = token?.isValid ? 200 : 400;
  ctx.body = token?.isValid
    ? { email: token.accountId, scope: token.scope, expires_in: token.remainingTTL }
    : { error: 'invalid_token' };
  return undefined;
});

const file = (name) => readFileSync(new URL(name, import.meta.url));
createServer({ cert: file('cert.pem'), key: file('key.pem') }, provider.callback())
  .listen(Number(tlsPort), '127.0.0.1');
provider.listen(Number(port), '127.0.0.1');
