//! The crash walk at a real Keystone and Glance, in a binary of its own: their servers and those of the other clouds' walks
//! would be too many side by side.

mod openstack;

use openstack::Glance;
use support::walks;

walks!(
    at_openstack, Glance:
    killed_at_any_write_of_a_share_or_its_end_the_end_is_the_same_and_nothing_is_left_over =>
        [Share, ChangeRecipients, Unshare],
    killed_at_any_write_of_an_answer_or_the_images_end_the_end_is_the_same_and_nothing_is_left_over =>
        [Accept, Reject, DeleteImage],
    killed_at_any_write_of_a_copy_there_is_one_good_copy => [Replicate, Copy],
    killed_at_any_write_of_a_copys_end_nothing_is_left_of_it => [StopCopy, DeleteCopy],
);
