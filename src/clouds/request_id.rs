//! The id that a cloud gave to a request, for the audit log: the vendor finds the call by it. The transport notes it, and
//! whoever makes a call that must be accounted for asks for it; the clients in between need not pass it on.

use std::cell::RefCell;

use http::HeaderMap;

/// Where the vendors write it: Alibaba Cloud, Huawei Cloud, `OpenStack`.
const HEADERS: [&str; 3] = ["x-acs-request-id", "x-request-id", "x-openstack-request-id"];

/// Longest id kept, in bytes.
const BYTES_MAX: usize = 128;

tokio::task_local! {
    static LAST: RefCell<Option<String>>;
}

/// Makes a call, and returns the id of the last request of it that was answered.
pub async fn noting<T>(call: impl Future<Output = T>) -> (T, Option<String>) {
    LAST.scope(RefCell::new(None), async {
        let result = call.await;
        (result, LAST.with(RefCell::take))
    })
    .await
}

/// Notes the id of an answered request.
pub(super) fn note(headers: &HeaderMap) {
    let found = HEADERS.iter().find_map(|name| headers.get(*name)?.to_str().ok()).filter(|id| is_plain(id));
    if let Some(id) = found {
        // Nobody asked for it outside of `noting`.
        drop(LAST.try_with(|last| last.replace(Some(id.to_owned()))));
    }
}

/// What an answer says is foreign text: an id is letters, digits, `-` and `_`.
fn is_plain(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= BYTES_MAX
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use http::HeaderValue;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn answer(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[tokio::test]
    async fn the_last_id_of_a_call_is_known_to_whoever_made_it() {
        for name in HEADERS {
            let call = async {
                note(&answer(name, "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E"));
                note(&answer(name, "req-1"));
                note(&HeaderMap::new());
            };
            assert_eq!(noting(call).await.1.as_deref(), Some("req-1"));
        }
        note(&answer(HEADERS[0], "nobody-asked"));
        assert_eq!(noting(async {}).await.1, None);
    }

    #[tokio::test]
    async fn what_is_no_id_is_not_noted() {
        for odd in ["", "a b", "a\"b", &"x".repeat(129)] {
            assert_eq!(noting(async { note(&answer(HEADERS[1], odd)) }).await.1, None, "{odd:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_header_holds_only_a_plain_bounded_id_is_noted(bytes in vec(any::<u8>(), 0..300)) {
            let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
            let headers = HeaderMap::from_iter([(http::HeaderName::from_static(HEADERS[0]), value)]);
            let noted = block_on(noting(async { note(&headers) })).1;
            prop_assert!(noted.is_none_or(|id| is_plain(&id) && id.as_bytes() == bytes));
        }
    }
}
