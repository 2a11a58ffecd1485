//! The token with which a build of Screwdriver's begins: made at launch, so that it cannot be over before the build starts, and
//! nobody has to carry it here.
//!
//! It is what Screwdriver's own queue makes: a JSON Web Token (RFC 7519) of scope `temporal`, signed with Screwdriver's private key
//! (RS256, RFC 7518 section 3.3). Its launcher swaps it for the build's token at once.

use std::{fs, path::Path};

use data_encoding::BASE64URL_NOPAD;
use jiff::{SignedDuration, Timestamp};
use ring::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use serde_json::{Value, json};
use switchyard_events::{Limits, ScrewdriverBuild};
use switchyard_executor::Token;

/// Screwdriver's private key.
pub struct ScrewdriverKey(KeyPair);

/// A key with which no token can be made.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidKey(String);

impl ScrewdriverKey {
    /// Reads a key in PEM: PKCS 8 or PKCS 1.
    ///
    /// # Errors
    /// When the file cannot be read or holds no RSA key of at least 2048 bits.
    pub fn read(path: &Path) -> Result<Self, InvalidKey> {
        let failed = |why: &str| InvalidKey(format!("{}: {why}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| failed(&error.to_string()))?;
        Self::parse(&text).map_err(|why| failed(&why))
    }

    fn parse(pem: &str) -> Result<Self, String> {
        let body = |label: &str| {
            let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
            let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
            let body: String = body.split_whitespace().collect();
            data_encoding::BASE64.decode(body.as_bytes()).ok()
        };
        let key = match (body("PRIVATE KEY"), body("RSA PRIVATE KEY")) {
            (Some(der), _) => KeyPair::from_pkcs8(&der),
            (None, Some(der)) => KeyPair::from_der(&der),
            (None, None) => return Err("holds no private key in PEM".to_owned()),
        };
        key.map(Self).map_err(|error| format!("is not an RSA key that can be used: {error}"))
    }

    /// The token of `build`. It counts from now until the build must have started.
    ///
    /// # Errors
    /// When the key signs nothing.
    pub fn token(&self, build: &ScrewdriverBuild, limits: &Limits, now: Timestamp) -> Result<Token, InvalidKey> {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&json!({"alg": "RS256", "typ": "JWT"})), part(&claims(build, limits, now)));
        let mut signature = vec![0; self.0.public().modulus_len()];
        let random = SystemRandom::new();
        self.0
            .sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature)
            .map_err(|_| InvalidKey("the key of Screwdriver signs nothing".to_owned()))?;
        Ok(Token(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))))
    }
}

/// How much longer than the pod may wait: clocks differ, and the launcher needs a moment.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);

fn claims(build: &ScrewdriverBuild, limits: &Limits, now: Timestamp) -> Value {
    let waits = SignedDuration::from_secs(limits.pending.whole_seconds());
    let until = now.saturating_add(waits + MARGIN).unwrap_or(now);
    // Screwdriver's ids are numbers.
    let id = |id: &Option<String>| id.as_ref().map(|id| id.parse::<u64>().map_or_else(|_| id.as_str().into(), Value::from));
    json!({
        "username": build.id, "scope": ["temporal"],
        "buildId": id(&Some(build.id.clone())), "jobId": id(&build.job), "eventId": id(&build.event), "pipelineId": id(&build.pipeline),
        "iat": now.as_second(), "exp": until.as_second(),
    })
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;
    use crate::next::tests::routed;

    /// Made for this test, known to everybody.
    const KEY: &str = include_str!("screwdriver-test-key.pem");

    #[test]
    fn a_token_says_which_build_it_is_for_and_that_this_key_says_so() {
        let key = ScrewdriverKey::parse(KEY).unwrap();
        let build = ScrewdriverBuild { id: "111".into(), job: Some("8".into()), ..ScrewdriverBuild::default() };
        let Token(token) = key.token(&build, &routed("k8s", 1).limits, Timestamp::UNIX_EPOCH).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.0.public().as_ref());
        public.verify(signed.as_bytes(), &BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap()).unwrap();
        let claims = BASE64URL_NOPAD.decode(signed.split_once('.').unwrap().1.as_bytes()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!((&claims["buildId"], &claims["jobId"], &claims["eventId"]), (&json!(111), &json!(8), &Value::Null));
        assert_eq!((&claims["scope"], &claims["username"]), (&json!(["temporal"]), &json!("111")));
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(0), &json!(60 + 600)));
    }

    #[test]
    fn a_key_that_is_none_is_told() {
        for (text, wanted) in
            [("", "holds no private key"), ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "is not an RSA key")]
        {
            assert!(ScrewdriverKey::parse(text).err().unwrap().contains(wanted));
        }
        let missing = ScrewdriverKey::read(Path::new("/nowhere/key")).err().unwrap().to_string();
        assert!(missing.starts_with("/nowhere/key: "), "{missing}");
    }
}
