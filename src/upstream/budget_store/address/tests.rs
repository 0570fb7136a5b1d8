use super::*;

#[test]
fn each_form_is_read_and_shown_without_its_password() {
    let cases = [
        ("redis://cache", "redis://cache:6379"),
        ("rediss://u:s3cret%40@cache:7000/2", "rediss://cache:7000/2"),
        ("redis://:s3cret@[::1]", "redis://[::1]:6379"),
        (
            "redis-sentinel://a,b:1/main",
            "redis-sentinel://a:26379,b:1/main",
        ),
        (
            "rediss-sentinel://:s3cret@a/main/3",
            "rediss-sentinel://a:26379/main/3",
        ),
        ("redis-cluster://a,b", "redis-cluster://a:6379,b:6379"),
    ];
    for (url, shown) in cases {
        let address = StoreAddress::parse(url).unwrap();
        assert_eq!(address.to_string(), shown);
        assert!(!format!("{address:?}").contains("s3cret"), "{address:?}");
    }
    let address = StoreAddress::parse("redis://u:s3cret%40@cache").unwrap();
    assert_eq!(address.user.as_deref(), Some("u"));
    assert_eq!(address.password.unwrap().expose(), "s3cret@");
}

#[test]
fn another_url_is_rejected_with_the_reason() {
    let cases = [
        ("cache:6379", "has no scheme"),
        ("http://cache", "HTTP address"),
        ("valkey://cache", "written `redis://…`"),
        ("memcached://cache", "unknown scheme"),
        ("redis://", "host without a name"),
        ("redis://a,b", "several hosts"),
        ("redis://a:0", "no number from 1"),
        ("redis://a/x", "database that is no number"),
        ("redis://a?x=y", "no query"),
        ("redis-cluster://a/1", "which a cluster has not"),
        ("redis-sentinel://a", "lacks the name"),
    ];
    for (url, wanted) in cases {
        let error = StoreAddress::parse(url).unwrap_err();
        assert!(error.contains(wanted), "{url}: {error}");
    }
}
